import { cast, MAX_INTEGER, MIN_INTEGER, type Report, tryCast, type Value, type ValueType } from './values.ts'

type Call = (args: readonly Value[], report: Report) => Value

export interface CesqlFunction {
  /** Types of the first arguments; further ones, where there may be any, are strings. */
  readonly parameters: readonly (ValueType | 'any')[]
  readonly variadic?: true
  readonly returns: ValueType
  readonly call: Call
}

const S = 'string'
const I = 'integer'

/** Characters as people count them: what is two code units in a string is one here. */
const characters = (text: unknown) => [...(text as string)]

const unary = (parameter: ValueType, returns: ValueType, call: (value: never, report: Report) => Value) => ({
  parameters: [parameter],
  returns,
  call: ([value]: readonly Value[], report: Report) => call(value as never, report),
})

const casting = (type: ValueType): CesqlFunction => ({
  parameters: ['any'],
  returns: type,
  call: ([value], report) => cast(value as Value, type, report),
})
const castable = (type: ValueType): CesqlFunction => ({
  parameters: ['any'],
  returns: 'boolean',
  call: ([value]) => tryCast(value as Value, type) !== undefined,
})

/** The built-in functions of CESQL 1.0, 3.5, by name; one entry for each number of arguments. */
const FUNCTIONS: Readonly<Record<string, readonly CesqlFunction[]>> = {
  LENGTH: [unary(S, I, (text) => characters(text).length)],
  CONCAT: [{ parameters: [], variadic: true, returns: S, call: (parts) => parts.join('') }],
  CONCAT_WS: [{ parameters: [S], variadic: true, returns: S, call: ([glue, ...parts]) => parts.join(glue as string) }],
  LOWER: [unary(S, S, (text: string) => text.toLowerCase())],
  UPPER: [unary(S, S, (text: string) => text.toUpperCase())],
  TRIM: [unary(S, S, (text: string) => text.trim())],
  LEFT: [{ parameters: [S, I], returns: S, call: side((all, count) => all.slice(0, count)) }],
  RIGHT: [{ parameters: [S, I], returns: S, call: side((all, count) => (count === 0 ? [] : all.slice(-count))) }],
  SUBSTRING: [
    { parameters: [S, I], returns: S, call: substring },
    { parameters: [S, I, I], returns: S, call: substring },
  ],
  ABS: [unary(I, I, abs)],
  INT: [casting('integer')],
  BOOL: [casting('boolean')],
  STRING: [casting('string')],
  IS_INT: [castable('integer')],
  IS_BOOL: [castable('boolean')],
}

/** The function of a name for so many arguments; the names that there are when there is none. */
export function findFunction(name: string, count: number): CesqlFunction | { readonly known: readonly string[] } {
  const overloads = FUNCTIONS[name.toUpperCase()]
  const fitting = overloads?.find(({ parameters, variadic }) =>
    variadic ? count >= parameters.length : count === parameters.length,
  )
  return fitting ?? { known: overloads ? [] : Object.keys(FUNCTIONS) }
}

function side(cut: (all: string[], count: number) => string[]): Call {
  return ([text, count], report) => {
    if ((count as number) >= 0) return cut(characters(text), count as number).join('')
    report('function')
    return text as string
  }
}

function substring([text, position, length]: readonly Value[], report: Report): string {
  const all = characters(text)
  const at = position as number
  if (at === 0) return ''
  if (Math.abs(at) > all.length || (typeof length === 'number' && length < 0)) {
    report('function')
    return ''
  }
  const start = at > 0 ? at - 1 : all.length + at
  return all.slice(start, typeof length === 'number' ? start + length : undefined).join('')
}

function abs(value: number, report: Report): number {
  if (value !== MIN_INTEGER) return Math.abs(value)
  report('math')
  return MAX_INTEGER
}
