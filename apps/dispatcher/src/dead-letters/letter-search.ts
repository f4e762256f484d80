import { comparePositions, type DeadLetter, type LetterFilter } from '@millrace/contracts'
import { fingerprintOf } from '@millrace/engine'
import { findDeadLetters, listDeadLetters, type Partition, type StoredLetter } from '@millrace/streams'

export type LetterCriteria = Partial<Omit<LetterFilter, 'namespace' | 'queue'>>

export interface LetterSearch {
  readonly address: string
  readonly criteria: LetterCriteria
  /** Where the search before stopped. */
  readonly after?: string | undefined
  /** The newest letter that is meant; later ones are left alone. */
  readonly upTo?: string | undefined
  /** Stop at so many that are meant. */
  readonly limit: number
  /** Stop after so many were looked at. */
  readonly maxLookedAt: number
}

export interface FoundLetters {
  readonly letters: StoredLetter[]
  readonly lookedAt: number
  /** Where to go on, undefined at the end. */
  readonly next?: string
}

/** Payloads have up to 256 KiB, so a reply of Redis stays below 25 MiB. */
const BATCH = 100

/** The letters of one queue that meet the criteria, oldest first, or in the order of `criteria.ids`. */
export function searchLetters(partition: Partition, search: LetterSearch): Promise<FoundLetters> {
  return search.criteria.ids ? amongIds(partition, search, search.criteria.ids) : inQueue(partition, search)
}

async function inQueue(
  partition: Partition,
  { address, criteria, after, upTo, limit, maxLookedAt }: LetterSearch,
): Promise<FoundLetters> {
  const { since, until } = criteria
  const letters: StoredLetter[] = []
  let lookedAt = 0
  let place = after
  while (lookedAt < maxLookedAt) {
    const page = await listDeadLetters(partition, {
      address,
      limit: Math.min(BATCH, maxLookedAt - lookedAt),
      ...(place !== undefined && { after: place }),
      ...(upTo !== undefined && { upTo }),
      ...(since !== undefined && { sinceMs: Date.parse(since) }),
      ...(until !== undefined && { untilMs: Date.parse(until) }),
    })
    for (const [index, letter] of page.letters.entries()) {
      lookedAt++
      if (!meets(letter, criteria)) continue
      letters.push(letter)
      const isLast = index === page.letters.length - 1 && page.next === undefined
      if (letters.length === limit) return { letters, lookedAt, ...(!isLast && { next: letter.entryId }) }
    }
    if (page.next === undefined) return { letters, lookedAt }
    place = page.next
  }
  return { letters, lookedAt, ...(place !== undefined && { next: place }) }
}

/** Named jobs are found by their ids; the place is how many of them were looked at. */
async function amongIds(
  partition: Partition,
  { address, criteria, after = '0', upTo, limit, maxLookedAt }: LetterSearch,
  ids: readonly string[],
): Promise<FoundLetters> {
  const from = Number(after)
  const asked = ids.slice(from, from + Math.min(BATCH, limit, maxLookedAt))
  const found = await findDeadLetters(partition, asked)
  const isMeant = (letter: StoredLetter | undefined): letter is StoredLetter =>
    letter !== undefined &&
    `${letter.namespace}/${letter.queue}` === address &&
    (upTo === undefined || comparePositions(letter.entryId, upTo) <= 0) &&
    meets(letter, criteria)
  const to = from + asked.length
  return { letters: found.filter(isMeant), lookedAt: asked.length, ...(to < ids.length && { next: String(to) }) }
}

function meets(letter: StoredLetter, criteria: LetterCriteria): boolean {
  const { reason, status, since, until, search, fingerprint } = criteria
  const { lastResponse, text } = letter
  if (reason !== undefined && letter.reason !== reason) return false
  if (status !== undefined && lastResponse.status !== status) return false
  const diedAtMs = Date.parse(letter.diedAt)
  if (since !== undefined && diedAtMs < Date.parse(since)) return false
  if (until !== undefined && diedAtMs >= Date.parse(until)) return false
  if (search !== undefined && !text.includes(search) && !lastResponse.body?.includes(search)) return false
  return fingerprint === undefined || fingerprintOf(letter).fingerprint === fingerprint
}

/** As the API tells of it. */
export function toDeadLetter({ entryId: _entryId, text: _text, ...letter }: StoredLetter): DeadLetter {
  return { ...letter, fingerprint: fingerprintOf(letter).fingerprint }
}
