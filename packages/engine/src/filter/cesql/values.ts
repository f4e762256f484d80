/** What a CESQL expression computes with: strings, 32-bit whole numbers, true and false. */
export type Value = string | number | boolean
export type ValueType = 'string' | 'integer' | 'boolean'

/** What went wrong while an expression was computed. An event does not pass a filter that has one. */
export type CesqlFault = 'missing_attribute' | 'cast' | 'math' | 'function'

export type Report = (fault: CesqlFault) => void

export const MIN_INTEGER = -2_147_483_648
export const MAX_INTEGER = 2_147_483_647

const ZERO = { string: '', integer: 0, boolean: false } as const

export function typeOf(value: Value): ValueType {
  return typeof value === 'number' ? 'integer' : (typeof value as 'string' | 'boolean')
}

export function zeroOf(type: ValueType): Value {
  return ZERO[type]
}

export function isInteger(value: number): boolean {
  return Number.isInteger(value) && value >= MIN_INTEGER && value <= MAX_INTEGER
}

/** A value as another type; what cannot be cast is reported and becomes the zero of that type (CESQL 1.0, 3.7). */
export function cast(value: Value, type: 'string', report: Report): string
export function cast(value: Value, type: 'integer', report: Report): number
export function cast(value: Value, type: 'boolean', report: Report): boolean
export function cast(value: Value, type: ValueType, report: Report): Value
export function cast(value: Value, type: ValueType, report: Report): Value {
  if (typeOf(value) === type) return value
  const result = tryCast(value, type)
  if (result !== undefined) return result
  report('cast')
  return zeroOf(type)
}

/** Whether a value can be cast; `IS_INT` and `IS_BOOL` ask it. */
export function tryCast(value: Value, type: ValueType): Value | undefined {
  switch (type) {
    case 'string':
      return String(value)
    case 'integer':
      return toInteger(value)
    case 'boolean':
      return toBoolean(value)
    default:
      return type satisfies never
  }
}

function toInteger(value: Value): number | undefined {
  if (typeof value !== 'string') return Number(value)
  const text = value.trim()
  if (!/^[+-]?\d+$/.test(text)) return undefined
  const number = Number(text)
  // `-0` is 0 here as everywhere else.
  return isInteger(number) ? number + 0 : undefined
}

function toBoolean(value: Value): boolean | undefined {
  if (typeof value !== 'string') return value !== 0 && value !== false
  const text = value.toLowerCase()
  if (text === 'true') return true
  return text === 'false' ? false : undefined
}
