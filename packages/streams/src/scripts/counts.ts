import type { Partition } from '../partition.ts'
import type { Paused } from './find_job.ts'
import { loadScript, runScript } from './load.ts'

export interface Counts {
  readonly waiting: number
  readonly running: number
  readonly scheduled: number
  readonly accepted: number
  readonly succeeded: number
  readonly dead: number
  readonly cancelled: number
  readonly expired: number
  /** Of the dead: letters that were removed for good. */
  readonly discarded: number
  /** When the oldest waiting job became ready, ms by server time. */
  readonly oldestWaitingMs?: number
  readonly paused?: Paused
  /** It takes no new jobs until it is resumed. */
  readonly draining?: Paused
}

const script = loadScript('counts', 'no-writes')

/** Live counts, in the order of the addresses. */
export async function readCounts(partition: Partition, addresses: readonly string[]): Promise<Counts[]> {
  if (addresses.length === 0) return []
  const reply = (await runScript(partition, script, addresses)) as [number, number, number, string[], string][]
  return reply.map(([waiting, running, oldest, fields, paused]) => {
    const field = (name: string) => {
      const at = fields.findIndex((candidate, index) => index % 2 === 0 && candidate === name)
      return at < 0 ? undefined : fields[at + 1]
    }
    const counter = (name: string) => Number(field(name) ?? 0)
    const draining = field('draining')
    return {
      waiting,
      running,
      scheduled: counter('scheduled'),
      accepted: counter('accepted'),
      succeeded: counter('succeeded'),
      dead: counter('dead'),
      cancelled: counter('cancelled'),
      expired: counter('expired'),
      discarded: counter('discarded'),
      ...(oldest > 0 && { oldestWaitingMs: oldest }),
      ...(paused !== '' && { paused: JSON.parse(paused) as Paused }),
      ...(draining !== undefined && { draining: JSON.parse(draining) as Paused }),
    }
  })
}

/** What is missing (positive) or too many (negative); 0 when nothing was lost or doubled. */
export function imbalance(counts: Counts): number {
  const { accepted, succeeded, dead, cancelled, expired, waiting, scheduled, running } = counts
  return accepted - (succeeded + dead + cancelled + expired + waiting + scheduled + running)
}
