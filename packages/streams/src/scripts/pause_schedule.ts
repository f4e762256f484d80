import type { Partition } from '../partition.ts'
import type { By } from './cancel.ts'
import type { Paused } from './find_job.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('pause_schedule', 'allow-oom')

/** Pause or resume a schedule, in somebody's name. */
export async function pauseSchedule(
  partition: Partition,
  { action, address, by, at }: { action: 'pause' | 'resume'; address: string; by: By; at: string },
): Promise<'paused' | 'resumed' | 'unchanged' | 'unknown'> {
  const args = [action, address, JSON.stringify({ ...by, at })]
  return (await runScript(partition, script, args)) as 'paused' | 'resumed' | 'unchanged' | 'unknown'
}

/** The pauses of a partition by address of the schedule. */
export async function readSchedulePauses({ redis, keys }: Partition): Promise<Map<string, Paused>> {
  const texts = Object.entries(await redis.hgetall(keys.schedulePauses))
  return new Map(texts.map(([address, text]) => [address, JSON.parse(text) as Paused]))
}
