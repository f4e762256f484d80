import type { LogEvent, Problem } from '@millrace/contracts'
import { decideApply, parseManifest } from '@millrace/engine'
import { createLogger } from '@millrace/runtime'
import {
  createPartitions,
  type LedgerRow,
  type Partition,
  readLedger,
  readLogRange,
  readService,
  register,
  registryPartition,
} from '@millrace/streams'
import { eventually, freePort, type RedisServer, startProcess, withBy } from '@millrace/testkit'
import { expect } from 'vitest'
import { readConfig } from '../src/config.ts'
import { startScheduler } from '../src/scheduler.ts'

export interface Reply<Body> {
  readonly status: number
  readonly headers: Headers
  readonly body: Body
}

export interface ScheduleFields {
  readonly name: string
  readonly [field: string]: unknown
}

/** Speaks to one scheduler as any client would. */
export function createClient(url: string) {
  return {
    url,
    async call<Body = Problem>(
      method: string,
      path: string,
      { body, headers }: { body?: unknown; headers?: Record<string, string> } = {},
    ): Promise<Reply<Body>> {
      const response = await fetch(`${url}${path}`, {
        method,
        headers: { ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
        ...(body !== undefined && { body: JSON.stringify(withBy(method, path, body)) }),
      })
      return { status: response.status, headers: response.headers, body: (await response.json()) as Body }
    },
  }
}
export type Client = ReturnType<typeof createClient>

/** A scheduler in this process, on a port of its own. */
export async function schedulerOn(redisUrl: string, env: Record<string, string> = {}) {
  const config = readConfig({ REDIS_URL: redisUrl, MILLRACE_SCHEDULER_PORT: '0', ...env })
  const scheduler = await startScheduler(config, {
    logger: createLogger({ app: 'scheduler', level: 'silent' }),
    tracing: undefined,
  })
  return { scheduler, client: createClient(`http://127.0.0.1:${scheduler.port}`) }
}

export const MAIN = new URL('../src/main.ts', import.meta.url)

/** A scheduler as a process of its own, to be killed. */
export async function startSchedulerProcess(redisUrl: string) {
  const port = await freePort()
  const process = await startProcess({
    file: MAIN,
    env: { REDIS_URL: redisUrl, MILLRACE_SCHEDULER_PORT: String(port) },
    readyWhen: /scheduler\.ready/,
    // Several start at once, on a machine that may be busy with other tests.
    readyTimeoutMs: 60_000,
  })
  return { process, client: createClient(`http://127.0.0.1:${port}`) }
}

/** Schedules of a service as the registry gets them from any dispatcher that a manifest was applied at. */
export async function declare(
  server: RedisServer,
  namespace: string,
  schedules: readonly ScheduleFields[],
  url = 'http://127.0.0.1:9',
): Promise<void> {
  const parsed = parseManifest({
    metadata: { name: namespace },
    spec: {
      schedules: schedules.map((schedule) => ({ endpoint: pathOf(namespace, schedule.name), ...schedule })),
    },
  })
  if (parsed.kind === 'refused') throw new Error(JSON.stringify(parsed.mistakes))
  const redis = server.client()
  const current = await readService(redis, namespace)
  const at = new Date().toISOString()
  const { kind, service } = decideApply({ current, declaration: parsed.declaration, url, who: 'test', at })
  if (kind !== 'unchanged') {
    const stored = { service, expectedVersion: current?.version ?? 0, event: {} }
    expect(await register(registryPartition(redis), stored)).toBe('registered')
  }
  redis.disconnect()
}

export function pathOf(namespace: string, schedule: string): string {
  return `/internal/cron/${namespace}/${schedule}`
}

/** The only partition, over a connection that closes with the server. */
export function partitionOf(server: RedisServer): Partition {
  return createPartitions(server.client(), 1).of('')
}

export async function nextOf({ redis, keys }: Partition, address: string): Promise<number> {
  return Number(await redis.zscore(keys.ticks, address))
}

/** Moves a schedule's next time, as if that time had been planned. */
export async function makeDue({ redis, keys }: Partition, address: string, nominalMs: number): Promise<void> {
  const plan = JSON.parse((await redis.hget(keys.schedules, address)) ?? '{}')
  const moved = { ...plan, nominalMs, fireMs: nominalMs, afterMs: nominalMs - 1 }
  await redis.multi().hset(keys.schedules, address, JSON.stringify(moved)).zadd(keys.ticks, nominalMs, address).exec()
}

/** The rows of a schedule's ledger, the oldest first. */
export async function ledgerOf(partition: Partition, address: string): Promise<LedgerRow[]> {
  return (await readLedger(partition, { address, count: 100_000 })).map(({ row }) => row).reverse()
}

export async function eventsOf(partition: Partition, type: string, namespace?: string): Promise<LogEvent[]> {
  const events = await readLogRange(partition, { count: 100_000 })
  return events.filter((event) => event.type === type && (namespace === undefined || event.namespace === namespace))
}

/** What a metric counts of something Redis has done: the scheduler counts it when the reply has come, a moment after others see it done. */
export function countOf(client: Client, name: string, labels: Record<string, string>): Promise<number> {
  return eventually(() => metricOf(client, name, labels), { what: `a sample of ${name}` })
}

/** The value of the first sample of a metric whose labels include those given. */
export async function metricOf(client: Client, name: string, labels: Record<string, string> = {}) {
  const text = await (await fetch(`${client.url}/metrics`)).text()
  const wanted = Object.entries(labels).map(([label, value]) => `${label}="${value}"`)
  const sample = text
    .split('\n')
    .find((line) => line.startsWith(`${name}{`) && wanted.every((label) => line.includes(label)))
  return sample === undefined ? undefined : Number(sample.slice(sample.lastIndexOf(' ')))
}
