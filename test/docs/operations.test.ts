import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { QueueCounts } from '@millrace/contracts'
import { type ChildHandle, eventually, type Receiver, startReceiver } from '@millrace/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { findPlace, getJson, type Place, runCommand, startUp } from '../e2e/platform.ts'
import { blockOf, readPage } from './pages.ts'

const page = readPage('docs/operations.md')
const NODE_MODULES = fileURLToPath(new URL('../../node_modules', import.meta.url))

// The drill that the page describes: a platform at work is copied, killed and lost, and put back on another machine.
let folder: string
let service: Receiver
let before: Place
let after: Place
let platform: ChildHandle

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'millrace-drill-'))
  symlinkSync(NODE_MODULES, join(folder, 'node_modules'))
  ;[service, before, after] = await Promise.all([startReceiver(), findPlace(), findPlace()])
  platform = await startUp(before)
}, 120_000)
afterAll(async () => {
  await platform?.stop()
  await service?.stop()
  for (const place of [before, after]) await place?.remove()
  rmSync(folder, { recursive: true, force: true })
})

/** Run a block of the page as it stands, with another data folder and other ports. */
async function run(title: string, place: Place): Promise<string> {
  const script = blockOf(page, title).text.replaceAll('.millrace/', `${place.home}/`)
  const path = [dirname(process.execPath), process.env.PATH].join(delimiter)
  const env = { ...process.env, ...place.env, PATH: path }
  const { stdout } = await promisify(execFile)('bash', ['-e', '-c', script], { cwd: folder, env })
  return stdout
}

async function post(url: string, body: object): Promise<Record<string, unknown>> {
  const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  const answer = await fetch(url, init)
  expect(answer.ok, await answer.clone().text()).toBe(true)
  return (await answer.json()) as Record<string, unknown>
}

const queueOf = async ({ urls }: Place, name: string) =>
  (await getJson<{ queues: QueueCounts[] }>(`${urls.dispatcher}/queues?namespace=shop`)).queues.find(
    ({ queue }) => queue === name,
  ) as QueueCounts
const idsAt = (path: string) => service.requests(path).map(({ headers }) => String(headers['webhook-id']))

it('a platform that is put back from its backup goes on, as the page says', { timeout: 240_000 }, async () => {
  const queue = (name: string, more = {}) => ({ name, endpoint: `/internal/${name}`, retries: 0, ...more })
  const manifest = {
    metadata: { name: 'shop' },
    spec: {
      queues: [queue('mail'), queue('later'), queue('fails')],
      schedules: [{ name: 'often', cron: '@every 1s', endpoint: '/internal/often' }],
    },
  }
  const { dispatcher, audit } = before.urls
  const applied = await fetch(`${dispatcher}/services/shop`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ manifest, url: service.url, who: 'test' }),
  })
  expect(applied.status).toBe(200)
  await post(`${dispatcher}/queues/shop/later/pause`, { who: 'test' })
  service.script('/internal/fails', { status: 500 })
  const enqueue = async (name: string) =>
    String((await post(`${dispatcher}/jobs`, { namespace: 'shop', queue: name, data: name })).id)
  const [done, dead, ...waiting] = await Promise.all(['mail', 'fails', 'later', 'later', 'later'].map(enqueue))
  await service.waitFor('/internal/often', 4)
  const isRecorded = async (id: string | undefined, state: string) =>
    (await getJson<{ state: string }>(`${audit}/v1/jobs/${id}`)).state === state
  await eventually(async () => (await isRecorded(done, 'succeeded')) && isRecorded(dead, 'dead'), { timeoutMs: 60_000 })
  // Of the newest the outcome may not be settled yet; all before are in the copy.
  const fired = idsAt('/internal/often').slice(0, -2)

  await run('backup', before)
  await platform.kill()
  await before.remove()
  service.script('/internal/fails', { status: 200 })
  await run('restore', after)
  platform = await startUp(after)

  expect(await queueOf(after, 'later')).toMatchObject({ waiting: 3, paused: { who: 'test' } })
  await post(`${after.urls.dispatcher}/queues/shop/later/resume`, { who: 'test' })
  await service.waitFor('/internal/later', 3)
  expect(idsAt('/internal/later').toSorted()).toEqual(waiting.toSorted())
  const letters = await runCommand(after, 'dead-letters', 'list', 'shop')
  expect(letters.stdout).toContain(dead)
  await run('redrive', after)
  await eventually(() => idsAt('/internal/fails').length === 2, { timeoutMs: 60_000 })
  expect(idsAt('/internal/mail')).toEqual([done])

  const count = idsAt('/internal/often').length
  await service.waitFor('/internal/often', count + 2)
  expect(fired.length).toBeGreaterThan(0)
  const again = idsAt('/internal/often').filter((id) => fired.includes(id))
  expect(again, 'a tick that was done is not fired again').toEqual(fired)
  const rows = await getJson<{ entries: { at: string; until?: string }[] }>(
    `${after.urls.scheduler}/schedules/shop/often/ledger?limit=100`,
  )
  const times = rows.entries.filter(({ until }) => until === undefined).map(({ at }) => at)
  expect(times.length).toBeGreaterThan(fired.length)
  expect(new Set(times).size).toBe(times.length)

  expect(await run('look', after)).toMatch(/intact: \d+ records in \d+ chains[\s\S]*made again from \d+ records/)
  await eventually(async () => (await queueOf(after, 'fails')).succeeded === 1, { timeoutMs: 60_000 })
  for (const name of ['mail', 'later', 'fails']) {
    const { accepted, succeeded, dead, running } = await queueOf(after, name)
    expect([succeeded, dead, running], name).toEqual([accepted, 0, 0])
  }

  expect(await run('export', after)).toMatch(/^intact: \d+ records/m)
  const file = join(folder, 'trail.ndjson')
  const text = readFileSync(file, 'utf8')
  const spoilt = text.replace('job.enqueued', 'job.enqueueD')
  expect(spoilt).not.toBe(text)
  writeFileSync(file, spoilt)
  const changed = await runCommand(after, 'audit', 'verify', '--export', file)
  expect([changed.code, changed.output]).toEqual([1, expect.stringMatching(/^TAMPERED/)])
})
