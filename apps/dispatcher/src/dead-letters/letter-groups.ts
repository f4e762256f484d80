import type { LetterGroup } from '@millrace/contracts'
import { fingerprintOf } from '@millrace/engine'
import type { Partitions, StoredLetter } from '@millrace/streams'
import { searchLetters } from './letter-search.ts'

export interface LetterGroups {
  /** The largest first. */
  readonly groups: LetterGroup[]
  readonly lookedAt: number
  /** False when there are more letters than were looked at. */
  readonly complete: boolean
}

const BATCH = 100

/** Letters by the way they failed, of at most so many, oldest first. */
export async function groupLetters(
  partitions: Partitions,
  { addresses, maxLookedAt }: { addresses: readonly string[]; maxLookedAt: number },
): Promise<LetterGroups> {
  const groups = new Map<string, LetterGroup>()
  let lookedAt = 0
  for (const address of addresses) {
    let after: string | undefined
    do {
      if (lookedAt >= maxLookedAt) return { groups: sorted(groups), lookedAt, complete: false }
      const limit = Math.min(BATCH, maxLookedAt - lookedAt)
      const search = { address, criteria: {}, after, limit, maxLookedAt: limit }
      const found = await searchLetters(partitions.of(address), search)
      for (const letter of found.letters) add(groups, letter)
      lookedAt += found.lookedAt
      after = found.next
    } while (after !== undefined)
  }
  return { groups: sorted(groups), lookedAt, complete: true }
}

/** Letters come in the order of their deaths, so the one at hand is the newest of its group. */
function add(groups: Map<string, LetterGroup>, letter: StoredLetter): void {
  const { namespace, queue, reason, lastResponse, diedAt, id } = letter
  const { fingerprint, sample } = fingerprintOf(letter)
  const key = `${queue} ${fingerprint}`
  const known = groups.get(key)
  groups.set(key, {
    ...{ namespace, queue, fingerprint, reason, sample },
    ...(lastResponse.status !== undefined && { status: lastResponse.status }),
    count: (known?.count ?? 0) + 1,
    firstAt: known?.firstAt ?? diedAt,
    lastAt: diedAt,
    exampleId: id,
  })
}

function sorted(groups: ReadonlyMap<string, LetterGroup>): LetterGroup[] {
  return [...groups.values()].sort((a, b) => b.count - a.count || a.firstAt.localeCompare(b.firstAt))
}
