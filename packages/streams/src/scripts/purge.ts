import type { Partition } from '../partition.ts'
import type { By } from './cancel.ts'
import { loadScript, runScript } from './load.ts'

/** A token is for the person who just saw the count. */
export const PURGE_TOKEN_MS = 300_000
/** One script call removes at most this many. */
const CHUNK = 500

const script = loadScript('purge', 'allow-oom')

/** How many jobs a purge would remove; the token then allows it. */
export async function requestPurge(
  partition: Partition,
  { address, token, by }: { address: string; token: string; by: By },
): Promise<{ waiting: number; scheduled: number }> {
  const reply = await runScript(partition, script, [address, token, 'count', PURGE_TOKEN_MS, JSON.stringify(by)])
  const [, waiting, scheduled] = reply as ['counted', number, number]
  return { waiting, scheduled }
}

/** Cancel what waited when the token was given out; undefined when the token is not the queue's. */
export async function purge(
  partition: Partition,
  { address, token, by }: { address: string; token: string; by: By },
): Promise<number | undefined> {
  let purged = 0
  for (;;) {
    const reply = await runScript(partition, script, [address, token, 'purge', CHUNK, JSON.stringify(by), purged])
    const [kind, count, more] = reply as ['purged' | 'no_token', number, number]
    if (kind === 'no_token') return purged > 0 ? purged : undefined
    purged += count
    if (more === 0) return purged
  }
}
