import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { AuditEvent, ChainVerdict, JobView, Problem } from '@millrace/contracts'
import { createPartition, type Partition } from '@millrace/streams'
import {
  atFileEnd,
  type ChildHandle,
  eventually,
  type PostgresServer,
  type RedisServer,
  startPostgres,
  startProcess,
  startRedis,
} from '@millrace/testkit'
import pg from 'pg'

/** Both databases that a store may be in. What is said of the store is said of both. */
export const DATABASES = ['SQLite', 'PostgreSQL'] as const
export type Database = (typeof DATABASES)[number]

let postgres: Promise<PostgresServer> | undefined

/** One PostgreSQL server for the test file, with a database for each rig. */
export function postgresServer(): Promise<PostgresServer> {
  postgres ??= startForThisFile()
  return postgres
}

async function startForThisFile(): Promise<PostgresServer> {
  const server = await startPostgres()
  atFileEnd(async () => {
    postgres = undefined
    await server.stop()
  })
  return server
}

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
  /** What `openStore` takes. */
  readonly location: StoreLocation
  /** The first partition, for the scripts. */
  readonly partition: Partition
  startAudit(env?: Record<string, string>): Promise<AuditApp>
  /** Plain SQL on the database, as somebody with access to it would run it. */
  sql(statement: string, ...parameters: (string | number)[]): Promise<Record<string, unknown>[]>
  stop(): Promise<void>
}

export interface StoreLocation {
  readonly path: string
  readonly url: string | undefined
}

/** Where a store of the test's own will be: a file in the folder, or a new database of the file's server. */
export async function newLocation(database: Database, home: string): Promise<StoreLocation> {
  return {
    path: join(home, 'audit', 'audit.sqlite'),
    url: database === 'PostgreSQL' ? await (await postgresServer()).createDatabase() : undefined,
  }
}

/** Runs one statement, with `?` for its parameters, on a connection of its own. */
export async function runSql(
  { path, url }: StoreLocation,
  statement: string,
  ...parameters: (string | number)[]
): Promise<Record<string, unknown>[]> {
  if (url !== undefined) {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    let count = 0
    const numbered = statement.replaceAll('?', () => `$${++count}`)
    return client
      .query(numbered, parameters)
      .then(({ rows }) => rows)
      .finally(() => client.end())
  }
  const file = new DatabaseSync(path, { timeout: 5000 })
  try {
    return file.prepare(statement).all(...parameters) as Record<string, unknown>[]
  } finally {
    file.close()
  }
}

/** Keeps everybody else from the store, as a maintenance command would; the answer ends that. */
export async function lockStore({ path, url }: StoreLocation): Promise<() => Promise<void>> {
  if (url !== undefined) {
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    await client.query('BEGIN; LOCK TABLE records')
    return () => client.end()
  }
  const file = new DatabaseSync(path)
  file.exec('BEGIN EXCLUSIVE')
  return async () => file.close()
}

/** A Redis, a data folder and a database of the test's own, on which audit processes are started. */
export async function startRig({
  database,
  ...options
}: NonNullable<Parameters<typeof startRedis>[0]> & { database: Database }): Promise<Rig> {
  const redis = await startRedis(options)
  const home = await mkdtemp(join(tmpdir(), 'millrace-audit-'))
  const location = await newLocation(database, home)
  const apps: AuditApp[] = []
  return {
    redis,
    home,
    location,
    partition: createPartition(redis.client(), 0),
    async startAudit(env = {}) {
      const app = await startAudit(redis, home, { DATABASE_URL: location.url ?? '', ...env })
      apps.push(app)
      return app
    },
    sql: (statement, ...parameters) => runSql(location, statement, ...parameters),
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
  const line = await child.waitForLine(/service\.listening/, 45_000)
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
      ...([partition.keys.log, '*', 'queue', 'queue.closed', 'shop'] as const),
      ...([`q${index % entities}`, `queue/q${index % entities}`, `{"n":${index}}`] as const),
    )
  }
  await pipeline.exec()
}

/** Resolves when the trail holds so many records. */
export async function recorded(rig: Rig, count: number, timeoutMs = 40_000): Promise<void> {
  await eventually(async () => Number((await rig.sql('SELECT COUNT(*) AS n FROM records'))[0]?.n) === count, {
    timeoutMs,
    intervalMs: 25,
    what: `${count} records in the trail`,
  })
}
