/**
 * Whether an SPDX licence expression can be satisfied with allowed licences alone.
 *
 *     any  := all ("OR" all)*
 *     all  := atom ("AND" atom)*          AND binds more tightly than OR (SPDX 2.3, annex D)
 *     atom := "(" any ")" | identifier ("WITH" exception)?
 *
 * `A WITH B` is looked up as those three words, and `A+` as it stands: what is not on the list word for word is not
 * allowed. Small on purpose, as part of an example; a service that decides more than whom to ask takes `spdx-satisfies`.
 */
export type LicenceVerdict = 'allowed' | 'not_allowed' | 'unreadable'

export function checkLicence(expression: string, allowed: ReadonlySet<string>): LicenceVerdict {
  const tokens = expression.match(/[()]|[^\s()]+/g) ?? []
  const reader: Reader = { tokens, position: 0, allowed }
  const isAllowed = readAny(reader)
  if (isAllowed === undefined || reader.position < tokens.length) return 'unreadable'
  return isAllowed ? 'allowed' : 'not_allowed'
}

interface Reader {
  readonly tokens: readonly string[]
  readonly allowed: ReadonlySet<string>
  position: number
}

/** Whether the part that was read is satisfied; undefined when it cannot be read. The same goes for the two below. */
type Satisfied = boolean | undefined

function readAny(reader: Reader): Satisfied {
  let result = readAll(reader)
  while (result !== undefined && take(reader, 'OR')) {
    const next = readAll(reader)
    result = next === undefined ? undefined : result || next
  }
  return result
}

function readAll(reader: Reader): Satisfied {
  let result = readAtom(reader)
  while (result !== undefined && take(reader, 'AND')) {
    const next = readAtom(reader)
    result = next === undefined ? undefined : result && next
  }
  return result
}

function readAtom(reader: Reader): Satisfied {
  if (take(reader, '(')) {
    const inner = readAny(reader)
    return take(reader, ')') ? inner : undefined
  }
  const identifier = takeIdentifier(reader)
  if (identifier === undefined) return undefined
  if (!take(reader, 'WITH')) return reader.allowed.has(identifier)
  const exception = takeIdentifier(reader)
  return exception === undefined ? undefined : reader.allowed.has(`${identifier} WITH ${exception}`)
}

function take(reader: Reader, token: string): boolean {
  if (reader.tokens[reader.position] !== token) return false
  reader.position++
  return true
}

function takeIdentifier(reader: Reader): string | undefined {
  const token = reader.tokens[reader.position]
  if (token === undefined || ['(', ')', 'AND', 'OR', 'WITH'].includes(token)) return undefined
  reader.position++
  return token
}
