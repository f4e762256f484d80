import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { type Receiver, startReceiver } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { PackageJob } from '../src/audit-package.ts'
import { type Service, startService } from '../src/index.ts'
import type { LockEntry } from '../src/lockfile.ts'

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }
const machine = { os: 'linux', cpu: 'x64', libc: 'glibc' }
const LOCKED: Record<string, LockEntry> = {
  '': { dependencies: { good: '1', copyleft: '1', gone: '1', elsewhere: '1' } },
  'packages/own': { version: '0.1.0' },
  'node_modules/own': { link: true },
  'node_modules/good': { version: '1.0.0' },
  'node_modules/copyleft': { version: '1.0.0' },
  'node_modules/gone': { version: '1.0.0' },
  'node_modules/elsewhere': { version: '1.0.0', optional: true, os: ['darwin'] },
}

/** Stand-ins for the platform, which has end-to-end tests of its own: they accept and record. */
let dispatcher: Receiver
let audit: Receiver
let service: Service
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'dependency-audit-'))
  await write('package-lock.json', { lockfileVersion: 3, packages: LOCKED })
  await write('node_modules/good/package.json', { name: 'good', version: '1.0.0', license: 'MIT' })
  await write('node_modules/copyleft/package.json', { name: 'copyleft', version: '1.0.0', license: 'MPL-2.0' })
  dispatcher = await startReceiver()
  dispatcher.script('/jobs', { status: 202, body: { id: 'job_1', durability: 'fsync' } })
  audit = await startReceiver()
  audit.script('/v1/events/emit', { status: 201, body: { success: true, data: { eventId: 'evt_1' } } })
  const config = { port: 0, queueUrl: dispatcher.url, septorUrl: audit.url, namespace: 'audited' }
  service = await startService({ ...config, lockfile: join(folder, 'package-lock.json') }, { logger: silent, machine })
})

afterEach(async () => {
  await service.close()
  await Promise.all([dispatcher.stop(), audit.stop(), rm(folder, { recursive: true })])
})

describe('the tick', () => {
  it('is answered at once and becomes one job per third-party package', async () => {
    dispatcher.script('/jobs', { status: 202, body: { id: 'job_1' }, delayMs: 100 })
    const answer = await post('/internal/cron/nightly-audit', {
      schedule: 'nightly-audit',
      tickId: 'tick_1',
      attempt: 1,
    })
    expect(answer).toMatchObject({ status: 200, body: { success: true } })

    const jobs = (await dispatcher.waitFor('/jobs', 4)).map((request) => request.json())
    expect(jobs).toContainEqual({
      namespace: 'audited',
      queue: 'audit-package',
      data: { run: 'tick_1', path: 'node_modules/good', name: 'good', version: '1.0.0' },
    })
    expect(jobs).toHaveLength(4)
  })

  it('goes on with the other packages when one is refused', async () => {
    dispatcher.script('/jobs', { status: 503 }, { kind: 'reset' }, { status: 202, body: { id: 'job_1' } })
    await post('/internal/cron/nightly-audit', {})
    expect(await dispatcher.waitFor('/jobs', 4)).toHaveLength(4)
  })

  it('gives two runs two names when nobody says which tick it is', async () => {
    await fetch(`${service.url}/internal/cron/nightly-audit`, { method: 'POST' })
    await fetch(`${service.url}/internal/cron/nightly-audit`, { method: 'POST' })
    const requests = await dispatcher.waitFor('/jobs', 8)
    expect(new Set(requests.map((request) => (request.json() as { data: PackageJob }).data.run)).size).toBe(2)
  })

  it('is finished before the service closes', async () => {
    dispatcher.script('/jobs', { status: 202, body: { id: 'job_1' }, delayMs: 100 })
    await post('/internal/cron/nightly-audit', {})
    await service.close()
    const requests = dispatcher.requests('/jobs')
    expect(requests).toHaveLength(4)
    expect(requests.every((request) => !request.aborted)).toBe(true)
  })
})

describe('the worker', () => {
  it('verifies what is as it is locked', async () => {
    expect(await deliver('good')).toMatchObject({ status: 200, body: { success: true } })
    expect(await emitted(1)).toEqual([
      {
        namespace: 'audited',
        eventType: 'dependency.verified',
        entityId: 'good@1.0.0',
        data: {
          jobId: 'job_good',
          attempt: 1,
          run: 'tick_1',
          path: 'node_modules/good',
          licence: 'MIT',
          installScripts: [],
          findings: [],
        },
        metadata: { who: 'dependency-audit' },
      },
    ])
  })

  it('completes the job of a package with a finding, and flags it', async () => {
    expect(await deliver('copyleft')).toMatchObject({ status: 200, body: { success: true } })
    const [event] = await emitted(1)
    expect(event).toMatchObject({
      eventType: 'dependency.flagged',
      entityId: 'copyleft@1.0.0',
      data: { findings: [{ code: 'licence_not_allowed', detail: 'MPL-2.0' }] },
    })
  })

  it('does not wait for the audit trail', async () => {
    await audit.close()
    expect(await deliver('good')).toMatchObject({ status: 200 })
    await audit.reopen()
    expect(await emitted(1)).toHaveLength(1)
  })

  it('fails an absent package for another machine once, then skips it by rule', async () => {
    expect(await deliver('elsewhere', { attempt: 1 })).toMatchObject({ status: 500, body: { success: false } })
    expect(await deliver('elsewhere', { attempt: 2 })).toEqual({ status: 200, body: { success: true, skipped: true } })
    const [event] = await emitted(1)
    expect(event).toMatchObject({
      eventType: 'dependency.skipped',
      metadata: { who: 'dependency-audit', why: 'optional and for darwin; this is linux/x64/glibc' },
    })
  })

  it('keeps failing a required package that is missing, until it is there', async () => {
    for (const attempt of [1, 2, 3]) expect(await deliver('gone', { attempt })).toMatchObject({ status: 500 })
    await write('node_modules/gone/package.json', { name: 'gone', version: '1.0.0', license: 'MIT' })
    expect(await deliver('gone', { attempt: 4 })).toEqual({ status: 200, body: { success: true } })
    const [event] = await emitted(1)
    expect(event).toMatchObject({ eventType: 'dependency.verified', data: { attempt: 4 } })
  })

  it('fails while a manifest is half written', async () => {
    await writeFile(join(folder, 'node_modules/good/package.json'), '{"name"')
    expect(await deliver('good')).toMatchObject({ status: 500 })
  })

  it.each([
    ['the same job', 'job_good', 'tick_1', true],
    ['another job for the same package in the same run', 'job_other', 'tick_1', true],
    ['the package in the next run', 'job_next', 'tick_2', undefined],
  ])('when done is brought %s: skipped is %s', async (_, jobId, run, skipped) => {
    await deliver('good')
    expect(await deliver('good', { jobId, run })).toEqual({
      status: 200,
      body: skipped ? { success: true, skipped } : { success: true },
    })
    await service.close()
    expect(audit.requests()).toHaveLength(skipped ? 1 : 2)
  })

  it('skips a version that the lockfile no longer holds', async () => {
    expect(await deliver('good', { version: '0.9.0' })).toMatchObject({ body: { skipped: true } })
    expect(await deliver('../../etc', { attempt: 2 })).toMatchObject({ body: { skipped: true } })
    const events = await emitted(2)
    expect(events.map((event) => event.eventType)).toEqual(['dependency.skipped', 'dependency.skipped'])
  })

  it.each([{}, { jobId: 'job_1', attempt: 1, data: null }, { jobId: 'job_1', attempt: 1, data: { path: 7 } }])(
    'refuses %j for good',
    async (body) => {
      const response = await send('/internal/jobs/audit-package', body)
      expect(response.status).toBe(400)
      expect(response.headers.get('x-no-retry')).toBe('1')
    },
  )
})

it('says that it is well', async () => {
  expect((await fetch(`${service.url}/health`)).status).toBe(200)
})

it('names the variable when its port is taken', async () => {
  const port = Number(new URL(service.url).port)
  const config = { port, queueUrl: dispatcher.url, septorUrl: audit.url, namespace: 'audited', lockfile: 'none' }
  await expect(startService(config)).rejects.toThrow(/Port \d+ is taken.*PORT/)
})

function deliver(name: string, options: Partial<PackageJob & { jobId: string; attempt: number }> = {}) {
  const { jobId = `job_${name}`, attempt = 1, run = 'tick_1', version = '1.0.0' } = options
  const data = { run, path: `node_modules/${name}`, name, version }
  return post('/internal/jobs/audit-package', { jobId, queue: 'audit-package', attempt, data })
}

async function post(path: string, body: unknown): Promise<{ status: number; body: unknown }> {
  const response = await send(path, body)
  return { status: response.status, body: await response.json() }
}

function send(path: string, body: unknown): Promise<Response> {
  const headers = { 'content-type': 'application/json' }
  return fetch(`${service.url}${path}`, { method: 'POST', headers, body: JSON.stringify(body) })
}

interface Emitted {
  readonly eventType: string
}

async function emitted(count: number): Promise<Emitted[]> {
  const requests = await audit.waitFor('/v1/events/emit', count)
  return requests.map((request) => request.json() as Emitted)
}

async function write(path: string, content: unknown): Promise<void> {
  await mkdir(dirname(join(folder, path)), { recursive: true })
  await writeFile(join(folder, path), JSON.stringify(content))
}
