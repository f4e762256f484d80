import { type LogEvent, manifestQueueSchema, type QueueDefinition } from '@millrace/contracts'
import {
  checkServer,
  connect,
  createPartitions,
  enqueue,
  imbalance,
  type JobMeta,
  limitsOf,
  openQueues,
  readCounts,
  readLogRange,
  readService,
  register,
  registryPartition,
  whenReady,
} from '@millrace/streams'
import { type ChildHandle, eventually, type RedisServer, startProcess, startRedis } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, expect } from 'vitest'
import { type ConsumeOptions, consume, type Handler, type PullConsumer } from '../src/index.ts'

export const NAMESPACE = 'shop'

type QueueFields = Readonly<Record<string, unknown>>

/**
 * A Redis with a platform on it and nobody who pushes: what works here works with no dispatcher running. Services are
 * declared as a dispatcher would declare them.
 */
export async function startPullRig() {
  const server: RedisServer = await startRedis({ appendonly: true })
  const redis = connect({ url: server.url, role: 'test' })
  await whenReady(redis, { timeoutMs: 5000 })
  await checkServer(redis, { partitions: 1 })
  const partition = createPartitions(redis, 1).of('')
  const address = (queue: string) => `${NAMESPACE}/${queue}`
  const declared = new Map<string, QueueDefinition>()

  const events = async (id?: string): Promise<LogEvent[]> => {
    const all = await readLogRange(partition, { count: 100_000 })
    return id === undefined ? all : all.filter((event) => event.entityId === id)
  }
  return {
    server,
    redis,
    partition,
    address,
    events,
    types: async (id: string) => (await events(id)).map(({ type }) => type),
    /** Declare a queue, or declare it anew; the others of the service stay. */
    async declare(name: string, fields: QueueFields = {}): Promise<void> {
      const parsed = manifestQueueSchema.parse({
        name,
        delivery: 'pull',
        retryDelayMs: 20,
        backoff: { jitter: 0 },
        ...fields,
      })
      const definition: QueueDefinition = { kind: 'queue', ...parsed }
      declared.set(name, definition)
      const registry = registryPartition(redis)
      const version = (await readService(redis, NAMESPACE))?.version ?? 0
      const service = {
        namespace: NAMESPACE,
        url: 'http://127.0.0.1:1',
        version: version + 1,
        appliedAt: new Date().toISOString(),
        appliedBy: 'test',
        queues: [...declared.values()],
        closing: [],
        manifest: {},
      }
      await register(registry, { service, expectedVersion: version, event: {} })
      await openQueues(partition, [{ address: address(name), limits: limitsOf(definition) }])
    },
    /** Accept jobs as intake does; the answer is their ids. */
    async add(queue: string, payloads: readonly unknown[], meta?: JobMeta): Promise<string[]> {
      const jobs = payloads.map((data) => ({
        address: address(queue),
        lane: 'normal' as const,
        data: typeof data === 'string' ? data : JSON.stringify(data),
        ...(meta && { meta }),
      }))
      return (await enqueue(partition, jobs)).map(({ id }) => id)
    },
    async counts(queue: string) {
      const [counts] = await readCounts(partition, [address(queue)])
      if (!counts) throw new Error(`no counts of ${queue}`)
      return counts
    },
    /** Resolves when the queue's counts are as given; they must balance at that moment. */
    async until(queue: string, wanted: Partial<Record<string, number>>): Promise<void> {
      await eventually(
        async () => {
          const counts = await this.counts(queue)
          const wrong = Object.entries(wanted).filter(([name, value]) => counts[name as 'dead'] !== value)
          if (wrong.length > 0 || imbalance(counts) !== 0)
            throw new Error(`${queue} has ${JSON.stringify(counts)}, wanted ${JSON.stringify(wanted)}`)
          return true
        },
        { timeoutMs: 60_000, what: `${queue} to have ${JSON.stringify(wanted)}` },
      )
    },
    async stop() {
      redis.disconnect()
      await server.stop()
    },
  }
}
export type PullRig = Awaited<ReturnType<typeof startPullRig>>

/** A service of its own process that consumes a queue: see `pull-worker.ts`. */
export async function startWorker(
  rig: PullRig,
  queue: string,
  env: Record<string, string | number> = {},
): Promise<ChildHandle> {
  return startProcess({
    file: new URL('pull-worker.ts', import.meta.url),
    env: {
      TEST_REDIS: rig.server.url,
      TEST_NAMESPACE: NAMESPACE,
      TEST_QUEUE: queue,
      ...Object.fromEntries(Object.entries(env).map(([name, value]) => [name, String(value)])),
    },
    readyWhen: /^ready$/,
  })
}

/**
 * A rig for the tests of a file, and consumers that are closed after each of them. Whatever they told their `onError` meanwhile is
 * in `faults`; a test that expects some takes it out.
 */
export function usePulling() {
  let rig: PullRig
  const open: PullConsumer[] = []
  const faults: string[] = []
  beforeAll(async () => {
    rig = await startPullRig()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((consumer) => consumer.close()))
    expect(faults.splice(0)).toEqual([])
  })
  afterAll(() => rig.stop())
  return {
    get rig() {
      return rig
    },
    open,
    faults,
    /** A consumer that takes jobs. */
    async start(queue: string, handler: Handler, options: Partial<ConsumeOptions> = {}): Promise<PullConsumer> {
      const consumer = consume(queue, handler, {
        redis: rig.server.url,
        namespace: NAMESPACE,
        closeTimeoutMs: 0,
        onError: (error) => faults.push(`${error.code}: ${error.message}`),
        ...options,
      })
      open.push(consumer)
      await consumer.ready
      return consumer
    },
  }
}
