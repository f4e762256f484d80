import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { AuditEvent, ChainVerdict, JobView, Problem } from '@millrace/contracts'
import { createPartition, type Partition } from '@millrace/streams'
import { type ChildHandle, eventually, type RedisServer, startProcess, startRedis } from '@millrace/testkit'

export interface Answer<T> {
  readonly status: number
  readonly body: T
  readonly text: string
  readonly headers: Headers
}

export interface AuditApp {
  readonly process: ChildHandle
  readonly url: string
  get<T>(path: string): Promise<Answer<T>>
  post<T>(path: string, body: unknown, headers?: Record<string, string>): Promise<Answer<T>>
}

export interface Rig {
  readonly redis: RedisServer
  readonly home: string
  readonly storePath: string
  /** The first partition, for the scripts. */
  readonly partition: Partition
  startAudit(env?: Record<string, string>): Promise<AuditApp>
  /** Plain SQL on the file, as somebody with access to the disk would run it. */
  sql(statement: string, ...parameters: (string | number)[]): Record<string, unknown>[]
  stop(): Promise<void>
}

/** A Redis and a data folder of the test's own, on which audit processes are started. */
export async function startRig(options: Parameters<typeof startRedis>[0] = {}): Promise<Rig> {
  const redis = await startRedis(options)
  const home = await mkdtemp(join(tmpdir(), 'millrace-audit-'))
  const storePath = join(home, 'audit', 'audit.sqlite')
  const apps: AuditApp[] = []
  return {
    redis,
    home,
    storePath,
    partition: createPartition(redis.client(), 0),
    async startAudit(env = {}) {
      const app = await startAudit(redis, home, env)
      apps.push(app)
      return app
    },
    sql(statement, ...parameters) {
      const database = new DatabaseSync(storePath, { timeout: 5000 })
      try {
        return database.prepare(statement).all(...parameters) as Record<string, unknown>[]
      } finally {
        database.close()
      }
    },
    async stop() {
      await Promise.all(apps.map((app) => app.process.killGroup()))
      await redis.stop()
      await rm(home, { recursive: true, force: true })
    },
  }
}

async function startAudit(redis: RedisServer, home: string, env: Record<string, string>): Promise<AuditApp> {
  const child = await startProcess({
    file: new URL('../src/main.ts', import.meta.url),
    env: { REDIS_URL: redis.url, MILLRACE_HOME: home, MILLRACE_AUDIT_PORT: '0', ...env },
  })
  const line = await child.waitForLine(/service\.listening/, 15_000)
  const url = `http://127.0.0.1:${(JSON.parse(line) as { port: number }).port}`
  return {
    process: child,
    url,
    get: (path) => ask(fetch(url + path)),
    post: (path, body, headers = {}) =>
      ask(
        fetch(url + path, {
          method: 'POST',
          headers: { 'content-type': 'application/json', ...headers },
          body: typeof body === 'string' ? body : JSON.stringify(body),
        }),
      ),
  }
}

async function ask<T>(answer: Promise<Response>): Promise<Answer<T>> {
  const response = await answer
  const text = await response.text()
  return { status: response.status, text, body: JSON.parse(text) as T, headers: response.headers }
}

export interface Emitted {
  readonly success: true
  readonly data: { eventId: string; eventHash?: string; chainIndex?: number }
}
export interface Events {
  readonly success: true
  readonly data: { events: AuditEvent[]; cursor?: string }
}
export interface Verdict {
  readonly success: true
  readonly data: ChainVerdict
}
export interface Chain {
  readonly success: true
  readonly data: ChainVerdict & { chain: AuditEvent[] }
}
export interface Everything {
  readonly chains: number
  readonly records: number
  readonly valid: boolean
  readonly broken: { namespace: string; entityId: string; brokenAt: number; reason: string }[]
  readonly trails: { partition: string; records: number; valid: boolean; brokenAt?: number }[]
}
export type { AuditEvent, JobView, Problem }

export function emitBody(over: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    namespace: 'shop',
    eventType: 'policy.created',
    entityId: 'policy-1',
    data: { premium: 120 },
    metadata: { who: 'ann@example.com' },
    ...over,
  }
}

/** Write events into the log of the first partition, as the scripts would. */
export async function appendEvents(partition: Partition, count: number, entities = 7): Promise<void> {
  const pipeline = partition.redis.pipeline()
  for (let index = 0; index < count; index++) {
    pipeline.xadd(
      ...([partition.keys.log, '*', 'kind', 'queue', 'type', 'queue.closed', 'ns', 'shop'] as const),
      ...(['queue', `q${index % entities}`, 'entity', `queue/q${index % entities}`, 'data', `{"n":${index}}`] as const),
    )
  }
  await pipeline.exec()
}

/** Resolves when the trail holds so many records. */
export async function recorded(rig: Rig, count: number, timeoutMs = 15_000): Promise<void> {
  await eventually(() => Number(rig.sql('SELECT COUNT(*) AS n FROM records')[0]?.n) === count, {
    timeoutMs,
    intervalMs: 25,
    what: `${count} records in the trail`,
  })
}
