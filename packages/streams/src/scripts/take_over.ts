import type { Partition } from '../partition.ts'
import { type ClaimedJob, type JobTuple, toClaimedJob } from './claim.ts'
import { loadScript, runScript } from './load.ts'

/** Deaths of holders that a job may be near before it is held to be their cause. */
export const MAX_TAKEOVERS = 3

const script = loadScript('take_over', 'allow-oom')

export interface TakeOver {
  readonly consumer: string
  readonly limit: number
  readonly maxTakeovers?: number
  /** The queue that the taker pulls; without it, all queues of the partition that are pushed. */
  readonly pulls?: string
  /** Told of each job that ended here instead of being taken over. */
  readonly onEnded?: (job: EndedJob) => void
}

/** A job that was not taken over because it ended: buried as `crash_loop`, or cancelled while it ran. */
export interface EndedJob {
  readonly address: string
  readonly id: string
  readonly outcome: 'dead' | 'cancelled'
}

/** A job of somebody who is gone, in this consumer's hands now. */
export interface TakenJob extends ClaimedJob {
  /** Its holder had begun no attempt at it, so there may be no room for one yet: it is this consumer's as prefetched. */
  readonly prefetched: boolean
}

/** Take over what lapsed consumers hold; the jobs are the taker's to deliver. Fewer than `limit`: nothing is left. */
export async function takeOver(
  partition: Partition,
  { consumer, limit, maxTakeovers = MAX_TAKEOVERS, pulls = '', onEnded }: TakeOver,
): Promise<TakenJob[]> {
  const args = [consumer, limit, maxTakeovers, pulls]
  const reply = (await runScript(partition, script, args)) as (TakenTuple | EndedTuple)[]
  const jobs: TakenJob[] = []
  for (const item of reply) {
    if (item[1] === '') onEnded?.({ address: item[0], id: item[2], outcome: item[3] })
    else jobs.push({ ...toClaimedJob(item[0], item.slice(1, -1) as JobTuple), prefetched: item.at(-1) === 1 })
  }
  return jobs
}

type EndedTuple = [address: string, lane: '', id: string, outcome: EndedJob['outcome']]
type TakenTuple = [address: string, ...JobTuple, prefetched: number]
