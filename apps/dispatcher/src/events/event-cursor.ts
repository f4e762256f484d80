import { ProblemError, startFromSchema } from '@millrace/contracts'
import { type Positions, startPositions } from '@millrace/engine'
import { logEnds, logStart, type Partition } from '@millrace/streams'

/**
 * How far somebody has read all logs: their positions by the partition's number, opaque to clients. Numbers are written in
 * base 36 so that it stays short; it also serves as the id of an event in a stream.
 */
export function formatCursor(positions: Positions): string {
  const parts = Object.entries(positions).map(([partition, position]) => {
    const [ms = '0', seq = '0'] = position.split('-')
    return `${Number(partition).toString(36)}.${BigInt(ms).toString(36)}.${BigInt(seq).toString(36)}`
  })
  return `c${parts.join('_')}`
}

/** Where to read on, in the logs as they are now. Throws ProblemError. */
export async function placeIn(sources: readonly Partition[], after: string): Promise<Positions> {
  const positions = parseAfter(after, await logEnds(sources))
  if (after !== 'earliest') return positions
  // The earliest is what the logs begin with now: who asks for that has missed nothing.
  const starts = await Promise.all(sources.map(logStart))
  const begins = sources.map(({ number }, index) => [String(number), starts[index]?.before ?? '0-0'])
  return { ...positions, ...Object.fromEntries(begins) }
}

/** Where to read on: a cursor, or what `startFrom` of a subscription may be. Throws ProblemError. */
export function parseAfter(after: string, ends: Positions): Positions {
  const cursor = parseCursor(after)
  if (cursor) {
    // A log that the cursor does not know is one that it has read nothing of.
    return { ...Object.fromEntries(Object.keys(ends).map((partition) => [partition, '0-0'])), ...cursor }
  }
  if (startFromSchema.safeParse(after).success) return startPositions(after, ends, '/after')
  const detail = 'must be a cursor that an answer had, now, earliest, a time, or the id of an event'
  throw new ProblemError('request.invalid', `after ${detail}.`, { errors: [{ pointer: '/after', detail }] })
}

function parseCursor(text: string): Positions | undefined {
  if (!/^c[0-9a-z]+\.[0-9a-z]+\.[0-9a-z]+(?:_[0-9a-z]+\.[0-9a-z]+\.[0-9a-z]+)*$/.test(text)) return undefined
  const parts = text
    .slice(1)
    .split('_')
    .map((part) => part.split('.').map((each) => parseInt(each, 36)))
  // No answer had such a number, and Redis would not know what to do with it.
  if (parts.flat().some((number) => !Number.isSafeInteger(number))) return undefined
  return Object.fromEntries(parts.map(([partition, ms, seq]) => [String(partition), `${ms}-${seq}`]))
}
