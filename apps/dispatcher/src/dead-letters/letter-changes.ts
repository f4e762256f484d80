import type { LetterFilter } from '@millrace/contracts'
import { type By, discard, newestDeadLetter, type Partition, redrive } from '@millrace/streams'
import { searchLetters } from './letter-search.ts'

export interface LetterChange {
  readonly address: string
  readonly filter: LetterFilter
  readonly limit: number
  readonly by: By
}

/** One script call changes at most this many. */
const CHUNK = 500

/** Put the letters that meet the filter back into their queue, now. Returns the ids redriven. */
export function redriveNow(partition: Partition, { address, filter, limit, by }: LetterChange): Promise<string[]> {
  const { namespace: _namespace, queue: _queue, ids, ...criteria } = filter
  // Without criteria there is nothing to read: the script takes them as they come.
  if (Object.keys(criteria).length === 0) return redrive(partition, { address, limit, ...by, ...(ids && { ids }) })
  return change(partition, { address, filter, limit, by }, (chunk) =>
    redrive(partition, { address, ids: chunk, limit: chunk.length, ...by }),
  )
}

/** Remove the letters that meet the filter for good. Returns the ids discarded. */
export function discardNow(partition: Partition, letters: LetterChange): Promise<string[]> {
  return change(partition, letters, (ids) => discard(partition, { address: letters.address, ids, by: letters.by }))
}

/** Jobs that die meanwhile are behind the newest letter of the beginning, so this ends, and changes none twice. */
async function change(
  partition: Partition,
  { address, filter, limit }: LetterChange,
  apply: (ids: string[]) => Promise<string[]>,
): Promise<string[]> {
  const upTo = await newestDeadLetter(partition, address)
  if (upTo === undefined) return []
  const changed: string[] = []
  let after: string | undefined
  do {
    const search = { address, criteria: filter, after, upTo, maxLookedAt: CHUNK }
    const found = await searchLetters(partition, { ...search, limit: Math.min(CHUNK, limit - changed.length) })
    if (found.letters.length > 0) changed.push(...(await apply(found.letters.map(({ id }) => id))))
    after = found.next
  } while (after !== undefined && changed.length < limit)
  return changed
}
