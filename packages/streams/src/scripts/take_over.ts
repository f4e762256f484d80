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
}

/** Take over what lapsed consumers hold; the jobs are the taker's to deliver. Fewer than `limit`: nothing is left. */
export async function takeOver(
  partition: Partition,
  { consumer, limit, maxTakeovers = MAX_TAKEOVERS, pulls = '' }: TakeOver,
): Promise<ClaimedJob[]> {
  const reply = (await runScript(partition, script, [consumer, limit, maxTakeovers, pulls])) as [string, ...JobTuple][]
  return reply.map(([address, ...job]) => toClaimedJob(address, job))
}
