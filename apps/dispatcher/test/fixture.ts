import { type DeadLetter, type LogEvent, type Problem, type QueueCounts, queueAddress } from '@millrace/contracts'
import { createLogger, type Logger } from '@millrace/runtime'
import { createPartitions, fullAddress, imbalance, readCounts, readLogRange } from '@millrace/streams'
import {
  eventually,
  type RedisServer,
  type RedisServerOptions,
  startReceiver,
  startRedis,
  withBy,
} from '@millrace/testkit'
import { expect } from 'vitest'
import { readConfig } from '../src/config.ts'
import { startDispatcher } from '../src/dispatcher.ts'
import { parseTargets } from '../src/targets/open-ranges.ts'

/** For parts of the dispatcher that a test puts together itself: receivers listen on loopback. */
export const OPEN_TARGETS = parseTargets('public,private,loopback')

export interface Reply<Body> {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
}

export interface Call {
  readonly body?: unknown
  /** Sent as it is, instead of `body`. */
  readonly text?: string | Buffer
  readonly headers?: Record<string, string>
}

/** Speaks to one dispatcher as any client would. */
export function createClient(url: string) {
  const call = async <Body = Problem>(method: string, path: string, options: Call = {}): Promise<Reply<Body>> => {
    const body = options.body === undefined ? undefined : JSON.stringify(withBy(method, path, options.body))
    const text = options.text ?? body
    const response = await fetch(`${url}${path}`, {
      method,
      headers: { ...(text !== undefined && { 'content-type': 'application/json' }), ...options.headers },
      ...(text !== undefined && { body: text }),
    })
    return { status: response.status, headers: response.headers, body: (await response.json()) as Body }
  }
  const enqueue = async (namespace: string, queue: string, job: Record<string, unknown> = {}): Promise<string> => {
    const { status, body } = await call<{ id: string }>('POST', '/jobs', {
      body: { namespace, queue, data: {}, ...job },
    })
    expect([200, 202], JSON.stringify(body)).toContain(status)
    return body.id
  }
  const counts = async (namespace: string, queue: string): Promise<QueueCounts> => {
    const { body } = await call<{ queues: QueueCounts[] }>('GET', `/queues?namespace=${namespace}`)
    const found = body.queues.find((candidate) => candidate.queue === queue)
    if (!found) throw new Error(`no queue ${queue} in ${JSON.stringify(body)}`)
    return found
  }
  const deadLetters = async (namespace: string, query = ''): Promise<DeadLetter[]> =>
    (await call<{ deadLetters: DeadLetter[] }>('GET', `/dead-letters?namespace=${namespace}${query}`)).body.deadLetters
  return {
    url,
    call,
    enqueue,
    counts,
    deadLetters,
    /** Resolves when a queue's live counts are as given. */
    until: (namespace: string, queue: string, expected: Partial<QueueCounts>, timeoutMs = 60_000) =>
      eventually(
        async () => {
          const now = await counts(namespace, queue)
          expect(now).toMatchObject(expected)
          return now
        },
        { timeoutMs, what: `${namespace}/${queue} to have ${JSON.stringify(expected)}` },
      ),
  }
}
export type Client = ReturnType<typeof createClient>

export interface QueueFields {
  readonly name: string
  readonly [field: string]: unknown
}

/** A manifest whose retries are soon over; `endpoint` is unique per namespace, so that tests can share a receiver. */
export function manifestOf(namespace: string, queues: readonly QueueFields[], spec: Record<string, unknown> = {}) {
  return {
    apiVersion: 'backstage.io/v1alpha1',
    kind: 'Component',
    metadata: { name: namespace },
    spec: {
      type: 'service',
      queues: queues.map((queue) => ({
        endpoint: pathOf(namespace, queue.name),
        retryDelayMs: 20,
        backoff: { jitter: 0 },
        ...queue,
      })),
      ...spec,
    },
  }
}

export function pathOf(namespace: string, queue: string): string {
  return `/internal/${namespace}/${queue}`
}

export interface RigOptions {
  readonly env?: Record<string, string>
  readonly redis?: RedisServerOptions
  readonly logger?: Logger
}

export type RunningDispatcher = Awaited<ReturnType<typeof startDispatcher>>

/** Under which all dispatchers of a test keep their secrets, unless it says otherwise. */
export const MASTER_KEY = '11'.repeat(32)

/** A dispatcher in this process, on a port of its own. */
export async function dispatcherOn(redisUrl: string, { env, logger }: Omit<RigOptions, 'redis'> = {}) {
  const config = readConfig({
    ...{ REDIS_URL: redisUrl, MILLRACE_DISPATCHER_PORT: '0', MILLRACE_LEASE_MS: '1500' },
    ...{ MILLRACE_MASTER_KEY: MASTER_KEY, ...env },
  })
  const dispatcher = await startDispatcher(config, {
    logger: logger ?? createLogger({ app: 'dispatcher', level: 'silent' }),
    tracing: undefined,
  })
  return { dispatcher, client: createClient(`http://127.0.0.1:${dispatcher.port}`) }
}

/** A Redis, a dispatcher on it and a receiver to deliver to. */
export async function startRig({ redis: redisOptions, ...options }: RigOptions = {}) {
  const redis = await startRedis(redisOptions)
  const receiver = await startReceiver()
  const { dispatcher, client } = await dispatcherOn(redis.url, options)
  const namespaces: string[] = []

  return {
    redis,
    receiver,
    dispatcher,
    client,
    /** Applies a service with these queues, in a namespace of its own. */
    async service(queues: readonly QueueFields[], url: string = receiver.url): Promise<string> {
      const namespace = `shop-${namespaces.length + 1}`
      namespaces.push(namespace)
      await applyTo(client, namespace, queues, url)
      return namespace
    },
    /** Whatever the tests did with the dispatcher, every accepted job is accounted for in the end. */
    async stop() {
      await dispatcher.stop()
      await expectConservation(redis, Number(options.env?.MILLRACE_PARTITIONS ?? 1))
      await receiver.stop()
      await redis.stop()
    },
  }
}
export type Rig = Awaited<ReturnType<typeof startRig>>

export async function applyTo(client: Client, namespace: string, queues: readonly QueueFields[], url: string) {
  const { status, body } = await client.call<Record<string, unknown>>('PUT', `/services/${namespace}`, {
    body: { manifest: manifestOf(namespace, queues), url },
  })
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

/** Nothing accepted is lost: what was accepted is somewhere, once. */
export async function expectBalance(client: Client): Promise<void> {
  const { body } = await client.call<{ queues: QueueCounts[] }>('GET', '/queues')
  for (const queue of body.queues) expect(imbalance(queue), JSON.stringify(queue)).toBe(0)
}

/** The same of every queue on a server, without anybody who would answer for it. */
async function expectConservation(redis: RedisServer, partitions: number): Promise<void> {
  const client = redis.client()
  for (const partition of createPartitions(client, partitions).all) {
    const addresses = await client.smembers(partition.keys.queues)
    for (const [index, counts] of (await readCounts(partition, addresses)).entries())
      expect(imbalance(counts), `conservation of ${addresses[index]}: ${JSON.stringify(counts)}`).toBe(0)
  }
  client.disconnect()
}

/** The events of one job, oldest first. */
export async function eventsOf(redis: RedisServer, id: string): Promise<LogEvent[]> {
  const client = redis.client()
  const events = await readLogRange(createPartitions(client, 1).of(''), { count: 100_000 })
  client.disconnect()
  return events.filter((event) => event.entityId === id)
}

export function addressOf(namespace: string, queue: string): string {
  return fullAddress(namespace, queueAddress('queue', queue))
}

export async function typesOf(redis: RedisServer, id: string): Promise<string[]> {
  return (await eventsOf(redis, id)).map((event) => event.type)
}

/** The value of the first sample of a metric whose labels include those given. */
export async function metricOf(
  client: Client,
  name: string,
  labels: Record<string, string> = {},
): Promise<number | undefined> {
  const text = await (await fetch(`${client.url}/metrics`)).text()
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  const sample = text
    .split('\n')
    .find((line) => line.startsWith(`${name}{`) && wanted.every((label) => line.includes(label)))
  return sample === undefined ? undefined : Number(sample.slice(sample.lastIndexOf(' ')))
}
