import { type QueueDefinition, queueDefinitionSchema, type SubscriptionSource } from '@millrace/contracts'
import {
  checkServer,
  createPartitions,
  enqueue,
  openQueues,
  type Partition,
  register,
  registryPartition,
} from '@millrace/streams'
import { eventually, freePort, type RedisServer, startProcess, startRedis } from '@millrace/testkit'
import { fail } from '../child.ts'
import type { Appendfsync } from '../measure.ts'

/** A Redis server of a measurement's own, with one partition. */
export interface Store {
  readonly redis: RedisServer
  readonly partition: Partition
}

/** `appendfsync` undefined: nothing is written to disk, where only memory is of interest. */
export async function withStore<T>(
  appendfsync: Appendfsync | undefined,
  use: (store: Store) => Promise<T>,
): Promise<T> {
  const redis = await startRedis(appendfsync ? { appendonly: true, appendfsync } : {})
  try {
    return await use({ redis, partition: createPartitions(redis.client(), 1).all[0] as Partition })
  } finally {
    await redis.stop()
  }
}

export interface ServiceToRegister {
  readonly namespace: string
  readonly url: string
  readonly queues: readonly string[]
  readonly subscriptions?: readonly { readonly name: string; readonly subscription: SubscriptionSource }[]
  readonly concurrency: number
  /** `pull`: consumers take the jobs, no dispatcher does. */
  readonly delivery?: 'pull' | undefined
}

/** A queue as an apply would make it of its manifest, with one endpoint of its name. */
export function queueDefinition(
  name: string,
  { concurrency, delivery }: Pick<ServiceToRegister, 'concurrency' | 'delivery'>,
): QueueDefinition {
  const where = delivery ? { delivery } : { endpoint: `/internal/jobs/${name}` }
  return queueDefinitionSchema.parse({ kind: 'queue', name, concurrency, ...where })
}

/** Register a service with these queues and open them, as an apply would. */
export async function registerService(
  { partition }: Store,
  { namespace, url, queues, subscriptions = [], concurrency, delivery }: ServiceToRegister,
): Promise<void> {
  const definitions = queues.map((name) => queueDefinition(name, { concurrency, delivery }))
  for (const { name, subscription } of subscriptions) {
    const fields = { kind: 'subscription', name, concurrency, endpoint: `/internal/events/${name}`, subscription }
    definitions.push(queueDefinitionSchema.parse(fields))
  }
  const service = {
    ...{ namespace, url, version: 1, appliedAt: new Date().toISOString(), appliedBy: 'bench' },
    ...{ queues: definitions, closing: [], manifest: {} },
  }
  // A dispatcher does so at its first boot, and a consumer waits for it.
  await checkServer(partition.redis, { partitions: 1 })
  await register(registryPartition(partition.redis), { service, expectedVersion: 0, event: {} })
  await openQueues(
    partition,
    queues.map((name) => ({ address: `${namespace}/${name}` })),
  )
}

export interface Filling {
  readonly address: string
  readonly count: number
  /** JSON text. */
  readonly data: string
  say?(text: string): void
}

/** Put jobs there that wait. */
export async function fill({ partition }: Store, { address, count, data, say }: Filling): Promise<void> {
  const job = { address, lane: 'normal' as const, data }
  for (let done = 0; done < count; done += 1000) {
    if (done % 100_000 === 0 && done > 0) say?.(`${done} of ${count} jobs are there`)
    await enqueue(partition, new Array(Math.min(1000, count - done)).fill(job))
  }
}

export interface App {
  readonly pid: number
  readonly url: string
  stop(): Promise<void>
}

export interface AppOptions {
  readonly name: 'dispatcher' | 'scheduler' | 'audit'
  readonly env?: Readonly<Record<string, string>>
}

/** A process of the platform as `millrace up` runs it, on the store's socket. It may not be ready yet. */
export async function startApp({ redis }: Store, { name, env }: AppOptions): Promise<App> {
  const port = String(await freePort())
  const app = await startProcess({
    file: new URL(`../../apps/${name}/src/main.ts`, import.meta.url),
    env: {
      REDIS_URL: `unix://${redis.socketPath}`,
      [`MILLRACE_${name.toUpperCase()}_PORT`]: port,
      LOG_LEVEL: 'warn',
      ...env,
    },
  })
  let stopping = false
  void app.exited.then(() => stopping || fail(`the ${name} ended:\n${app.output()}`))
  return {
    pid: app.pid,
    url: `http://127.0.0.1:${port}`,
    async stop() {
      stopping = true
      await app.stop()
    },
  }
}

export async function whenReady({ url }: App): Promise<void> {
  const answers = () =>
    fetch(`${url}/readyz`).then(
      ({ ok }) => ok,
      () => false,
    )
  await eventually(answers, { timeoutMs: 60_000, intervalMs: 50, what: `${url} to be ready` })
}
