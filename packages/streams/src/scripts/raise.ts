import type { Partition } from '../partition.ts'
import { LAYOUT_VERSION } from './boot.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('raise', 'allow-oom', ['prelude_raise'])

/** Bring what an earlier version left in a partition into this layout, once `boot` has raised it. Answers how many jobs were moved. */
export async function raise(partition: Partition): Promise<number> {
  return (await runScript(partition, script, [LAYOUT_VERSION])) as number
}
