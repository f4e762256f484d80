import { type DeadLetter, type LastResponse, parseId } from '@millrace/contracts'
import { splitAddress } from './keys.ts'
import type { Partition } from './partition.ts'

export interface DeadLetterPage {
  readonly letters: DeadLetter[]
  /** Entry id to continue after, undefined at the end. */
  readonly next?: string
}

/** Dead letters of one queue, oldest first, after an entry id. */
export async function listDeadLetters(
  partition: Partition,
  { address, after, limit }: { address: string; after?: string; limit: number },
): Promise<DeadLetterPage> {
  const entries = await partition.redis.xrange(
    partition.keys.dead(address),
    after ? `(${after}` : '-',
    '+',
    'COUNT',
    limit + 1,
  )
  const page = entries.slice(0, limit)
  const letters = page.map(([entryId, fields]) => toDeadLetter(address, entryId, fields))
  const last = page.at(-1)?.[0]
  return entries.length > limit && last ? { letters, next: last } : { letters }
}

function toDeadLetter(address: string, entryId: string, fields: string[]): DeadLetter {
  // The fields in the order that `bury` in prelude.lua writes them.
  const [, id, , , , attempts, , , , , , reason, , last, , data] = fields as string[]
  const { namespace, queue } = splitAddress(address)
  return {
    id: String(id),
    namespace,
    queue,
    reason: String(reason),
    attempts: Number(attempts),
    enqueuedAt: new Date(parseId(String(id))?.ms ?? 0).toISOString(),
    diedAt: new Date(Number(entryId.split('-')[0])).toISOString(),
    data: JSON.parse(String(data)),
    lastResponse: JSON.parse(String(last)) as LastResponse,
  }
}
