import { ProblemError } from '@millrace/contracts'

/** How many records of each partition's trail somebody has been told of, by its number. */
export type Seen = ReadonlyMap<number, number>

/** Opaque to clients; numbers in base 36, so that it stays short. A partition without records is left out. */
export function formatSeen(seen: Seen): string {
  return `s${[...seen].map(([partition, seq]) => `${partition.toString(36)}.${seq.toString(36)}`).join('_')}`
}

/** @throws ProblemError when it is not one that a stream gave out. */
export function parseSeen(text: string, pointer: string): Seen {
  const pairs = /^s(?:[0-9a-z]+\.[0-9a-z]+(?:_|$))*$/.test(text) ? text.slice(1).split('_').filter(Boolean) : undefined
  const seen = pairs?.map((pair) => pair.split('.').map((part) => Number.parseInt(part, 36)) as [number, number])
  // No stream gave out such a number, and no database could look for it.
  if (seen?.every((pair) => pair.every(Number.isSafeInteger))) return new Map(seen)
  throw new ProblemError('request.invalid', 'The cursor is not one that this stream gave out.', {
    errors: [{ pointer, detail: 'is not the id of an event of this stream' }],
  })
}
