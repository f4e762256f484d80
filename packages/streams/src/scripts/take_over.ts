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

/** Take over what lapsed consumers hold; the jobs are the taker's to deliver. Fewer than `limit`: nothing is left. */
export async function takeOver(
  partition: Partition,
  { consumer, limit, maxTakeovers = MAX_TAKEOVERS, pulls = '', onEnded }: TakeOver,
): Promise<ClaimedJob[]> {
  const args = [consumer, limit, maxTakeovers, pulls]
  const reply = (await runScript(partition, script, args)) as (TakenTuple | EndedTuple)[]
  const jobs: ClaimedJob[] = []
  for (const item of reply) {
    if (item[1] === '') onEnded?.({ address: item[0], id: item[2], outcome: item[3] })
    else jobs.push(toClaimedJob(item[0], item.slice(1) as unknown as JobTuple))
  }
  return jobs
}

type EndedTuple = [address: string, lane: '', id: string, outcome: EndedJob['outcome']]
type TakenTuple = [address: string, ...JobTuple]
