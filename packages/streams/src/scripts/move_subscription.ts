import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('move_subscription', 'allow-oom')

/** Take a subscription to other positions, by the number of the partition whose log they are in. */
export async function moveSubscription(
  partition: Partition,
  { address, positions }: { address: string; positions: Readonly<Record<string, string>> },
): Promise<'moved' | 'unknown'> {
  return (await runScript(partition, script, [address, ...Object.entries(positions).flat()])) as 'moved' | 'unknown'
}
