import { execFile } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { AuditEvent } from '@millrace/contracts'
import {
  type ChildHandle,
  eventually,
  type PostgresServer,
  type Receiver,
  startPostgres,
  startReceiver,
} from '@millrace/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { findPlace, getJson, type Place, runCommand, startUp } from '../e2e/platform.ts'
import { blockOf, readPage } from './pages.ts'

const page = readPage('docs/operations.md')

// Two drills of the page: a database is lost and put back from its dump, once under the Redis that went on, and once on another
// machine, with the append-only file that was copied after the dump.
let folder: string
let service: Receiver
let old: PostgresServer
let fresh: PostgresServer
let before: Place
let after: Place
let platform: ChildHandle

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-dump-'))
  ;[service, before, after] = await Promise.all([startReceiver(), findPlace(), findPlace()])
  ;[old, fresh] = await Promise.all([startPostgres(), startPostgres()])
  before.env.DATABASE_URL = await old.createDatabase('audit')
  platform = await startUp(before)
  const queues = [{ name: 'mail', endpoint: '/internal/mail', retries: 0 }]
  await send(before, 'PUT', '/services/shop', {
    manifest: { metadata: { name: 'shop' }, spec: { queues } },
    url: service.url,
    who: 'test',
  })
}, 120_000)
afterAll(async () => {
  await platform?.stop()
  await Promise.all([service?.stop(), old?.stop(), fresh?.stop()])
  for (const place of [before, after]) await place?.remove()
  rmSync(folder, { recursive: true, force: true })
})

/** Run a block of the page as it stands, on the database of a place. */
async function run(title: string, { env }: Place): Promise<void> {
  const script = blockOf(page, title).text
  await promisify(execFile)('bash', ['-e', '-c', script], { cwd: folder, env: { ...process.env, ...env } })
}

async function send(place: Place, method: string, path: string, body: object): Promise<{ id: string }> {
  const headers = { 'content-type': 'application/json' }
  const answer = await fetch(`${place.urls.dispatcher}${path}`, { method, headers, body: JSON.stringify(body) })
  expect(answer.ok, await answer.clone().text()).toBe(true)
  return (await answer.json()) as { id: string }
}

/** Jobs that succeed, and are recorded. */
async function work(place: Place, count: number): Promise<string[]> {
  const jobs = Array.from({ length: count }, () =>
    send(place, 'POST', '/jobs', { namespace: 'shop', queue: 'mail', data: 1 }),
  )
  const ids = (await Promise.all(jobs)).map(({ id }) => id)
  await untilRecorded(place, ids)
  return ids
}

async function untilRecorded({ urls }: Place, ids: readonly string[]): Promise<void> {
  for (const id of ids)
    await eventually(
      async () => (await getJson<{ state: string }>(`${urls.audit}/v1/jobs/${id}`)).state === 'succeeded',
      {
        ...{ timeoutMs: 60_000, what: `${id} to be recorded` },
      },
    )
}

/** What the trail says of each of these jobs, oldest first. */
async function factsOf({ urls }: Place, ids: readonly string[]): Promise<string[][]> {
  const read = ids.map(async (id) => {
    const { data } = await getJson<{ data: { events: AuditEvent[] } }>(`${urls.audit}/v1/events?entityId=${id}`)
    return data.events.map(({ eventType }) => eventType).toSorted()
  })
  return Promise.all(read)
}

const SUCCESS = ['job.enqueued', 'job.started', 'job.succeeded']

async function verify(place: Place): Promise<number> {
  const { output } = await runCommand(place, 'audit', 'verify')
  const [, records] = /^intact: (\d+) records in \d+ chains/m.exec(output) ?? []
  expect(records, output).toBeDefined()
  return Number(records)
}

it('a database that is put back from its dump takes up what came since', { timeout: 240_000 }, async () => {
  const dumped = await work(before, 5)
  await run('backup-postgres', before)
  const since = await work(before, 5)
  const recorded = await verify(before)

  // What came after the dump, for the drill that follows: the file is copied last.
  await platform.stop()
  await old.kill()
  cpSync(join(before.home, 'redis', 'appendonlydir'), join(folder, 'appendonlydir'), { recursive: true })
  before.env.DATABASE_URL = await fresh.createDatabase('audit')
  await run('restore-postgres', before)
  platform = await startUp(before)

  await untilRecorded(before, [...dumped, ...since])
  expect(await factsOf(before, [...dumped, ...since])).toEqual(Array(10).fill(SUCCESS))
  // Each fact once: as many as there were, before anything new has come.
  expect(await verify(before)).toBe(recorded)
  const later = await work(before, 2)
  expect(await factsOf(before, later)).toEqual([SUCCESS, SUCCESS])
  expect(await verify(before)).toBe(recorded + 6)
  await platform.stop()
})

it('and so does one on another machine, with the file of Redis that was copied after the dump', {
  timeout: 240_000,
}, async () => {
  cpSync(join(folder, 'appendonlydir'), join(after.home, 'redis', 'appendonlydir'), { recursive: true })
  cpSync(join(before.home, 'master.key'), join(after.home, 'master.key'))
  after.env.DATABASE_URL = await fresh.createDatabase('elsewhere')
  await run('restore-postgres', after)
  platform = await startUp(after)
  const { dispatcher } = after.urls
  const { queues } = await getJson<{ queues: { succeeded: number }[] }>(`${dispatcher}/queues?namespace=shop`)
  expect(queues[0]?.succeeded).toBe(10)
  const ids = await work(after, 2)
  expect(await factsOf(after, ids)).toEqual([SUCCESS, SUCCESS])
  // Three facts of each job, and those of the registry, where the service was declared.
  const records = await verify(after)
  expect(records).toBeGreaterThanOrEqual(12 * SUCCESS.length + 1)
  const rebuilt = await runCommand(after, 'audit', 'rebuild', '--why', 'after a restore')
  // And the fact that somebody had them made again.
  expect(rebuilt.output).toContain(`made again from ${records + 1} records`)
})
