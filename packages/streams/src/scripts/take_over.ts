import type { Partition } from '../partition.ts'
import { type ClaimedJob, type JobTuple, toClaimedJob } from './claim.ts'
import { loadScript, runScript } from './load.ts'

/** Deaths of holders that a job may be near before it is held to be their cause. */
export const MAX_TAKEOVERS = 3

const script = loadScript('take_over', 'allow-oom')

/** Take over what lapsed consumers hold; the jobs are the taker's to deliver. Fewer than `limit`: nothing is left. */
export async function takeOver(
  partition: Partition,
  { consumer, limit, maxTakeovers = MAX_TAKEOVERS }: { consumer: string; limit: number; maxTakeovers?: number },
): Promise<ClaimedJob[]> {
  const reply = (await runScript(partition, script, [consumer, limit, maxTakeovers])) as [string, ...JobTuple][]
  return reply.map(([address, ...job]) => toClaimedJob(address, job))
}
