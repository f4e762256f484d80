import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

/** Who does something to a job or a queue, and why, as the audit trail keeps it. */
export interface By {
  readonly who: string
  readonly why?: string
}

export type Cancelled =
  | { readonly kind: 'cancelled' | 'cancelling' | 'dead'; readonly address: string }
  | { readonly kind: 'unknown' }

const script = loadScript('cancel', 'allow-oom', ['prelude_cancel'])

/** Cancel a job. `cancelling`: it runs; its request is ended, and it is cancelled unless it succeeds first. */
export async function cancel(partition: Partition, { id, by }: { id: string; by: By }): Promise<Cancelled> {
  const [kind, address] = (await runScript(partition, script, [id, JSON.stringify(by)])) as [Cancelled['kind'], string]
  return kind === 'unknown' ? { kind } : { kind, address }
}
