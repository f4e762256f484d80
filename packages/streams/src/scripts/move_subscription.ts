import type { Partition } from '../partition.ts'
import type { By } from './cancel.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('move_subscription', 'allow-oom')

/** Take a subscription to other positions, by the number of the partition whose log they are in. */
export async function moveSubscription(
  partition: Partition,
  {
    address,
    positions,
    event,
  }: { address: string; positions: Readonly<Record<string, string>>; event: By & { readonly to: string } },
): Promise<'moved' | 'unknown'> {
  return (await runScript(partition, script, [address, JSON.stringify(event), ...Object.entries(positions).flat()])) as
    | 'moved'
    | 'unknown'
}
