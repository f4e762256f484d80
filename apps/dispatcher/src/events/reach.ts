import { ProblemError } from '@millrace/contracts'
import { type Positions, timeOf } from '@millrace/engine'
import { logStart, type Partition } from '@millrace/streams'
import type { History } from './history.ts'
import { missingBehind } from './past-log.ts'

/**
 * Refuse to begin where nothing can be read any more.
 * @throws ProblemError `history.missing` when a log begins later and there is no audit app to ask, and `history.unavailable`
 *   when that one cannot be asked now.
 */
export async function checkReach(
  { sources, history }: { sources: readonly Partition[]; history: History },
  positions: Positions,
): Promise<void> {
  for (const source of sources) {
    const after = positions[String(source.number)] ?? '0-0'
    const start = missingBehind(await logStart(source), after)
    if (!start) continue
    if (!history.isThere) {
      const begins = new Date(timeOf(start.before) + 1).toISOString()
      throw new ProblemError(
        'history.missing',
        `The log begins at ${begins}. Begin there or later; or set SEPTOR_URL for the dispatcher, so that it reads older events from the audit store.`,
      )
    }
    const range = { after, to: start.before, publishedOnly: true }
    await history.read({ ...range, partition: source.number, start })
  }
}
