import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

const script = loadScript('file_rows', 'allow-oom', ['prelude_ledger'])

/**
 * File rows of ticks that fired a moment ago into their ledgers, which keep so many; a hundred or so of them. How many are left.
 */
export async function fileRows(partition: Partition, { keep }: { keep: number }): Promise<number> {
  return (await runScript(partition, script, [keep])) as number
}

/** The same for one ledger that is to be read. */
export async function fileRowOf(partition: Partition, address: string): Promise<void> {
  await runScript(partition, script, ['', address])
}
