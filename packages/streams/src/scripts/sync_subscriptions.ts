import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

export interface SubscriptionStart {
  readonly address: string
  /** The version of the service that made it; another one under the same name begins anew. */
  readonly since: number
  /** The position in the log of each partition, by its number, behind which it begins. */
  readonly starts: Readonly<Record<string, string>>
}

const script = loadScript('sync_subscriptions', 'allow-oom')

/** Tell a partition which subscriptions live in it, by a revision of the registry. */
export async function syncSubscriptions(
  partition: Partition,
  { revision, subscriptions }: { revision: number; subscriptions: readonly SubscriptionStart[] },
): Promise<'synced' | 'stale'> {
  const args = subscriptions.flatMap(({ address, since, starts }) => [address, since, JSON.stringify(starts)])
  const [kind] = (await runScript(partition, script, [revision, ...args])) as ['synced' | 'stale']
  return kind
}
