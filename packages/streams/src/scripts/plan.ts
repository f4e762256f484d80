import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('plan')

/** Set a schedule's next nominal time, unless it is planned by the same rule. `rule: undefined` removes it. */
export async function plan(
  partition: Partition,
  { address, rule, nextMs }: { address: string; rule?: string; nextMs?: number },
): Promise<'planned' | 'unchanged' | 'removed'> {
  return (await runScript(partition, script, [address, rule ?? '', nextMs ?? ''])) as
    | 'planned'
    | 'unchanged'
    | 'removed'
}
