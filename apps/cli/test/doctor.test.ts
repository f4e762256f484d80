import { chmodSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LAYOUT_VERSION } from '@millrace/streams'
import {
  type ChildHandle,
  freePort,
  type Receiver,
  type RedisServer,
  STEPPED_CLOCK,
  startProcess,
  startPrometheus,
  startReceiver,
  startRedis,
} from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readConfig } from '../src/config.ts'
import { examine } from '../src/doctor/examine.ts'
import type { Finding } from '../src/doctor/finding.ts'

const MILLRACE = new URL('../bin/millrace.mjs', import.meta.url)
const ADMIN_KEY = 'an-admin-key-of-more-than-32-characters'

// A deployment that is as it should be, but for what each test plants: real processes, a real Redis, a real service.
let home: string
let env: Record<string, string>
let redis: RedisServer
let platform: ChildHandle
let service: Receiver

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'millrace-doctor-'))
  redis = await startRedis({ appendonly: true, appendfsync: 'always', maxmemory: '256mb' })
  service = await startReceiver()
  const [dispatcher, scheduler, audit] = await Promise.all([freePort(), freePort(), freePort()])
  env = {
    MILLRACE_HOME: home,
    REDIS_URL: redis.url,
    MILLRACE_DISPATCHER_PORT: String(dispatcher),
    MILLRACE_SCHEDULER_PORT: String(scheduler),
    MILLRACE_AUDIT_PORT: String(audit),
  }
  platform = await startProcess({
    ...{ file: MILLRACE, args: ['up'], env },
    ...{ readyWhen: /^Millrace is ready/, readyTimeoutMs: 120_000 },
  })
  const manifest = {
    metadata: { name: 'shop' },
    spec: {
      queues: [
        { name: 'mail', endpoint: '/internal/mail' },
        { name: 'resize', delivery: 'pull' },
      ],
    },
  }
  const applied = await fetch(`${urls().dispatcher}/services/shop`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ manifest, url: service.url, who: 'test' }),
  })
  expect(applied.status, await applied.text()).toBe(200)
}, 150_000)
afterAll(async () => {
  await platform?.stop()
  await Promise.all([service?.stop(), redis?.stop()])
  rmSync(home, { recursive: true, force: true })
})

const urls = () => readConfig(env).urls

interface Otherwise {
  readonly env?: Record<string, string>
  readonly urls?: Partial<ReturnType<typeof urls>>
  readonly prometheus?: string
}

async function findingsOf({ env: more = {}, urls: others = {}, prometheus }: Otherwise = {}): Promise<Finding[]> {
  const config = readConfig({ ...env, ...more })
  return examine({ config, urls: { ...config.urls, ...others }, prometheus })
}

/** What was found by one name; everything that is not ok when it is not there, to see why. */
async function found(check: string, otherwise?: Otherwise): Promise<Finding | Finding[]> {
  const all = await findingsOf(otherwise)
  return all.find((finding) => finding.check === check) ?? all.filter(({ state }) => state !== 'ok')
}

describe('millrace doctor', () => {
  it('finds nothing that failed in a deployment that is as it should be, and exits with 0', async () => {
    const all = await findingsOf()
    expect(all.filter(({ state }) => state === 'fail')).toEqual([])
    expect(all.filter(({ state }) => state === 'ok').map(({ check }) => check)).toEqual(
      expect.arrayContaining([
        ...['redis.version', 'redis.role', 'redis.eviction', 'redis.durability', 'redis.disk', 'redis.memory'],
        ...['redis.layout', 'redis.clock', 'redis.password'],
        ...['dispatcher', 'scheduler', 'audit'].flatMap((app) =>
          ['ready', 'version', 'node', 'clock'].map((what) => `${app}.${what}`),
        ),
        ...['dispatcher.circuits', 'audit.trail', 'audit.lag', 'endpoint.shop', 'signing.master-key'],
      ]),
    )
    const run = await startProcess({ file: MILLRACE, args: ['doctor', '--json'], env })
    expect(await run.exited).toMatchObject({ code: 0 })
    expect(JSON.parse(run.stdout())).toMatchObject({ ok: true, findings: expect.arrayContaining([all[0]]) })
  })

  it('says for each thing that failed what to change, and exits with 1', async () => {
    const run = await startProcess({ file: MILLRACE, args: ['doctor', '--scheduler', 'http://127.0.0.1:1'], env })
    expect(await run.exited).toMatchObject({ code: 1 })
    expect(run.stdout()).toMatch(
      /^fail {5}scheduler\.ready {2,}http:\/\/127\.0\.0\.1:1 does not answer \(\S+\)\n +→ Start it, or name its address/m,
    )
    expect(run.stdout()).toMatch(/\n1 failed, \d+ warnings, \d+ ok\n$/)
  })
})

describe('of Redis it finds', () => {
  it.each([
    ['an eviction policy', 'redis.eviction', 'maxmemory-policy', 'allkeys-lru', 'fail', /CONFIG SET maxmemory-policy/],
    ['no append-only file', 'redis.durability', 'appendonly', 'no', 'fail', /CONFIG SET appendonly yes/],
    ['a second without fsync', 'redis.durability', 'appendfsync', 'everysec', 'warn', /appendfsync always/],
    ['memory that is nearly full', 'redis.memory', 'maxmemory', '2mb', 'fail', /Raise maxmemory/],
    ['memory without a limit', 'redis.memory', 'maxmemory', '0', 'warn', /CONFIG SET maxmemory/],
  ] as const)('%s', async (_what, check, setting, value, state, fix) => {
    const admin = redis.client()
    const [, before = ''] = (await admin.config('GET', setting)) as string[]
    await admin.config('SET', setting, value)
    try {
      expect(await found(check)).toMatchObject({ state, fix: expect.stringMatching(fix) })
    } finally {
      await admin.config('SET', setting, before)
    }
  })

  it('that it does not tell its settings', async () => {
    await redis.client().call('ACL', 'SETUSER', 'tenant', 'on', '>secret', '~*', '&*', '+@all', '-config')
    const REDIS_URL = `redis://tenant:secret@127.0.0.1:${redis.port}`
    expect(await found('redis.durability', { env: { REDIS_URL } })).toMatchObject({ state: 'warn' })
  })

  it('no password where others reach it', async () => {
    // A name of this machine that does not look like one: only the platform's own host is known to be out of reach.
    const named = (user: string) => ({ env: { REDIS_URL: `redis://${user}LOCALHOST:${redis.port}` } })
    expect(await found('redis.password', named(''))).toMatchObject({
      ...{ state: 'fail', fix: expect.stringMatching(/^Set requirepass or ACL users/) },
    })
    await redis.client().call('ACL', 'SETUSER', 'guest', 'on', '>secret', '~*', '&*', '+@all')
    expect(await found('redis.password', named('guest:secret@'))).toMatchObject({ state: 'ok' })
  })

  it('that its clock is not ours', async () => {
    const run = await startProcess({
      ...{ file: MILLRACE, args: ['doctor', '--json'], preload: STEPPED_CLOCK },
      env: { ...env, TEST_CLOCK_AHEAD_MS: '30000' },
    })
    await run.exited
    const { findings } = JSON.parse(run.stdout()) as { findings: Finding[] }
    expect(findings.find(({ check }) => check === 'redis.clock')).toMatchObject({
      ...{ state: 'warn', says: expect.stringMatching(/^the clock of this machine is (29|30)\.\d s ahead of/) },
    })
  })

  it('a layout of another version', async () => {
    const admin = redis.client()
    await admin.hset('{reg}:meta', 'layout', '99')
    expect(await found('redis.layout')).toMatchObject({ state: 'fail', says: expect.stringMatching(/^layout 99/) })
    await admin.hset('{reg}:meta', 'layout', LAYOUT_VERSION)
    expect(await found('redis.layout')).toMatchObject({ state: 'ok' })
  })

  it('that it is a replica, that nobody has used it, or that it is away', async () => {
    const other = await startRedis()
    expect(await found('redis.layout', { env: { REDIS_URL: other.url } })).toMatchObject({
      ...{ state: 'fail', says: 'no platform has used this Redis yet' },
    })
    await other.client().replicaof('127.0.0.1', redis.port)
    expect(await found('redis.role', { env: { REDIS_URL: other.url } })).toMatchObject({ state: 'fail' })
    await other.stop()
    expect(await found('redis', { env: { REDIS_URL: other.url } })).toMatchObject({
      ...{ state: 'fail', says: expect.stringMatching(/did not answer/) },
    })
  })
})

describe('of the apps it finds', () => {
  it('a clock that is off, another version, an old Node, a broken trail and a recorder that is behind', async () => {
    // The dispatcher and the audit app, as they would answer with these faults.
    const front = createServer(async (request, response) => {
      const [, app = 'audit', path = ''] = /^\/(dispatcher|audit)(\/.*)$/.exec(request.url ?? '') ?? []
      const answer = await fetch(`${urls()[app as 'audit']}${path}`)
      const text = (await answer.text())
        .replace(/(millrace_build_info\{)version="[^"]*",node="[^"]*"/, '$1version="0.0.9",node="v20.1.0"')
        .replace(/^(millrace_audit_broken\{what="tampered".*\}) \d+$/m, '$1 2')
        .replace(/^(millrace_audit_lag_seconds\{partition="p0".*\}) \S+$/m, '$1 300')
        .replace(/^# TYPE millrace_circuit_open gauge$/m, '$&\nmillrace_circuit_open{namespace="shop",queue="mail"} 1')
      response.setHeader('date', new Date(Date.now() - 5000).toUTCString())
      response.writeHead(answer.status, { 'content-type': answer.headers.get('content-type') ?? '' }).end(text)
    })
    const port = await freePort()
    await new Promise<void>((resolve) => front.listen(port, '127.0.0.1', resolve))
    const at = (app: string) => `http://127.0.0.1:${port}/${app}`
    const all = await findingsOf({ urls: { dispatcher: at('dispatcher'), audit: at('audit') } })
    front.close()
    const bad = all.filter(({ state, check }) => state !== 'ok' && /^(dispatcher|audit)\./.test(check))
    expect(Object.fromEntries(bad.map(({ check, state, says }) => [check, `${state}: ${says}`]))).toEqual({
      'dispatcher.version': 'warn: version 0.0.9',
      'dispatcher.node': 'fail: Node v20.1.0',
      'dispatcher.clock': expect.stringMatching(/^warn: the clock of dispatcher is [45]\.\d s behind that of Redis$/),
      'dispatcher.circuits': 'warn: the circuit of shop/mail is open: jobs wait',
      'audit.version': 'warn: version 0.0.9',
      'audit.node': 'fail: Node v20.1.0',
      'audit.clock': expect.stringMatching(/behind that of Redis$/),
      'audit.trail': 'fail: 2 chains are not intact',
      'audit.lag': 'fail: is 300 s behind the log',
    })
  })

  it('what keeps one from its work, as it says it itself', async () => {
    const stuck = await startReceiver()
    const problems = { store: 'gave no answer within a second' }
    stuck.script('/readyz', { status: 503, body: { status: 'not_ready', problems } })
    stuck.script('/metrics', { body: '' })
    expect(await found('audit.ready', { urls: { audit: stuck.url } })).toMatchObject({
      ...{ state: 'fail', says: 'store gave no answer within a second', fix: expect.stringMatching(/DATABASE_URL/) },
    })
    stuck.script('/readyz', { body: { status: 'ready', degraded: { p3: 'connection is reconnecting' } } })
    expect(await found('audit.ready', { urls: { audit: stuck.url } })).toMatchObject({
      ...{ state: 'fail', says: 'does its work, but not on p3: connection is reconnecting' },
    })
    await stuck.stop()
  })

  it('a service that is not there, and a master key that others can read', async () => {
    await service.close()
    expect(await found('endpoint.shop')).toMatchObject({ state: 'fail', says: expect.stringMatching(/ECONNREFUSED/) })
    await service.reopen()
    const file = join(home, 'master.key')
    chmodSync(file, 0o644)
    expect(await found('signing.master-key')).toMatchObject({ state: 'fail', fix: `chmod 600 ${file}` })
    chmodSync(file, 0o600)
  })
})

it('sees whether strangers are kept out, whether our key opens, and whether deliveries are signed', async () => {
  expect(await found('access.strangers')).toMatchObject({
    state: 'warn',
    says: expect.stringMatching(/only this machine/),
  })
  expect(await found('signing.shop')).toMatchObject({
    state: 'warn',
    fix: expect.stringMatching(/secrets rotate shop/),
  })
  const port = await freePort()
  const locked = await startProcess({
    file: new URL('../../dispatcher/src/main.ts', import.meta.url),
    env: { ...env, MILLRACE_DISPATCHER_PORT: String(port), MILLRACE_ADMIN_KEY: ADMIN_KEY },
    readyWhen: /dispatcher\.ready/,
  })
  const at = { urls: { dispatcher: `http://127.0.0.1:${port}` } }
  const withKey = { ...at, env: { MILLRACE_API_KEY: ADMIN_KEY } }
  expect(await found('access.strangers', at)).toMatchObject({ state: 'ok' })
  expect(await found('access.key', at)).toMatchObject({
    state: 'skipped',
    fix: expect.stringMatching(/MILLRACE_API_KEY/),
  })
  expect(await found('access.key', { ...at, env: { MILLRACE_API_KEY: `${ADMIN_KEY}!` } })).toMatchObject({
    state: 'fail',
  })
  expect(await found('access.keys', withKey)).toMatchObject({ state: 'warn' })
  const post = (path: string, body: object) =>
    fetch(`${at.urls.dispatcher}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', authorization: `Bearer ${ADMIN_KEY}` },
      body: JSON.stringify({ who: 'test', ...body }),
    })
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString()
  expect((await post('/keys', { name: 'soon', grants: ['producer:shop'], expiresAt })).status).toBe(201)
  expect(await found('access.keys', withKey)).toMatchObject({ state: 'warn', says: 'soon will end within a week' })
  expect((await post('/services/shop/secrets/rotate', {})).status).toBe(201)
  expect(await found('signing.shop', withKey)).toMatchObject({ state: 'ok' })
  await locked.stop()
})

it('asks a Prometheus whether it sees the apps and has the alerts', async () => {
  const config = `scrape_configs:
  - job_name: millrace
    scrape_interval: 1s
    static_configs: [{targets: ['${new URL(urls().dispatcher).host}'], labels: {app: dispatcher}}]
`
  const prometheus = await startPrometheus({ config })
  await expect
    .poll(() => found('prometheus.targets', { prometheus: prometheus.url }), { timeout: 60_000 })
    .toMatchObject({ state: 'fail', says: 'does not see scheduler, audit' })
  expect(await found('prometheus.alerts', { prometheus: prometheus.url })).toMatchObject({ state: 'fail' })
  await prometheus.stop()
  expect(await found('prometheus', { prometheus: prometheus.url })).toMatchObject({ state: 'fail' })
})
