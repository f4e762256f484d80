import type { AuditFact } from '@millrace/engine'

/** Members of an event's data. The log is open to whoever may write to Redis, so each may be anything, or missing. */
type Body = AuditFact['body']

export function numberIn(body: Body, name: string): number | undefined {
  const value = body?.[name]
  return typeof value === 'number' && Number.isSafeInteger(value) ? value : undefined
}

/** For columns of four bytes. */
export function smallNumberIn(body: Body, name: string): number | undefined {
  const value = numberIn(body, name)
  return value === undefined || Math.abs(value) > 0x7fff_ffff ? undefined : value
}

/** The most that an amount may be: a trillion tokens, or 31 years in milliseconds. */
const MOST = 1e12

/** A duration, a count, a number of tokens: what is added up. */
export function amountIn(body: Body, name: string): number | undefined {
  const value = numberIn(body, name)
  return value === undefined || value < 0 || value > MOST ? undefined : value
}

/** A sum never leaves the whole numbers that we can read back from a database: the batch that met it would fail for ever. */
export function plus(sum: number, more: number): number {
  return Math.min(sum + more, Number.MAX_SAFE_INTEGER)
}

export function textIn(body: Body, name: string): string | undefined {
  const value = body?.[name]
  return typeof value === 'string' ? value.toWellFormed().replaceAll('\0', '\ufffd') : undefined
}

/** RFC 3339 text as milliseconds. */
export function timeIn(body: Body, name: string): number | undefined {
  const ms = Date.parse(textIn(body, name) ?? '')
  return Number.isNaN(ms) ? undefined : ms
}
