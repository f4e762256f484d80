import { type DeadLetter, ProblemError } from '@millrace/contracts'
import type { Partitions } from '@millrace/streams'
import { type LetterCriteria, searchLetters, toDeadLetter } from '../dead-letters/letter-search.ts'

export interface LetterPageRequest {
  /** The queues to go through, one after the other. */
  readonly addresses: readonly string[]
  readonly criteria: LetterCriteria
  readonly limit: number
  readonly maxLookedAt: number
  readonly cursor?: string | undefined
}

export interface LetterPage {
  readonly deadLetters: DeadLetter[]
  readonly lookedAt: number
  readonly cursor?: string
}

/**
 * One page of letters. The cursor says which queue and which letter of it came last, so letters that come or go meanwhile
 * neither hide nor repeat another.
 */
export async function listLetters(
  partitions: Partitions,
  { addresses, criteria, limit, maxLookedAt, cursor }: LetterPageRequest,
): Promise<LetterPage> {
  let { index, after } = readCursor(cursor, addresses)
  const deadLetters: DeadLetter[] = []
  let lookedAt = 0
  while (index < addresses.length) {
    const address = addresses[index] as string
    if (deadLetters.length === limit || lookedAt >= maxLookedAt)
      return { deadLetters, lookedAt, cursor: writeCursor(address, after ?? '') }
    const found = await searchLetters(partitions.of(address), {
      ...{ address, criteria, after },
      limit: limit - deadLetters.length,
      maxLookedAt: maxLookedAt - lookedAt,
    })
    deadLetters.push(...found.letters.map(toDeadLetter))
    lookedAt += found.lookedAt
    after = found.next
    if (after === undefined) index++
  }
  return { deadLetters, lookedAt }
}

function writeCursor(address: string, after: string): string {
  return Buffer.from(`${address} ${after}`).toString('base64url')
}

function readCursor(
  cursor: string | undefined,
  addresses: readonly string[],
): { index: number; after?: string | undefined } {
  if (cursor === undefined) return { index: 0 }
  const [address, after] = Buffer.from(cursor, 'base64url').toString().split(' ')
  const index = addresses.indexOf(address ?? '')
  if (index < 0 || (after !== '' && !/^\d+-\d+$/.test(after ?? ''))) {
    throw new ProblemError('request.invalid', 'cursor is not one that this list gave out for the same filter.', {
      errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }],
    })
  }
  return { index, after: after || undefined }
}
