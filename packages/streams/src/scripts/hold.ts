import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

export type Held =
  | { readonly kind: 'held'; readonly term: number }
  | { readonly kind: 'other'; readonly holder: string }

const script = loadScript('hold', 'allow-oom')

/** Take or renew a one-holder lease. `ttlMs: 0` lets it go. */
export async function hold(
  partition: Partition,
  { name, holder, ttlMs }: { name: string; holder: string; ttlMs: number },
): Promise<Held> {
  const [kind, value] = (await runScript(partition, script, [name, holder, ttlMs])) as [Held['kind'], number | string]
  return kind === 'held' ? { kind, term: Number(value) } : { kind, holder: String(value) }
}
