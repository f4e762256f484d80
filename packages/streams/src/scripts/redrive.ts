import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

/** One script moves at most this many, so that a large redrive never holds the server up for long. */
const CHUNK = 500

const script = loadScript('redrive')

/** Put dead letters of one queue back, oldest first or the named ones. Returns the ids redriven. */
export async function redrive(
  partition: Partition,
  {
    address,
    ids,
    limit,
    who,
    why,
  }: { address: string; ids?: readonly string[]; limit: number; who: string; why?: string },
): Promise<string[]> {
  const by = JSON.stringify({ who, why })
  if (ids) return (await runScript(partition, script, [address, limit, by, ...ids])) as string[]
  const redriven: string[] = []
  while (redriven.length < limit) {
    const chunk = Math.min(CHUNK, limit - redriven.length)
    const moved = (await runScript(partition, script, [address, chunk, by])) as string[]
    redriven.push(...moved)
    if (moved.length < chunk) break
  }
  return redriven
}
