import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { ACCESS, type AppName, METRICS_READERS, ROLES, type Role, type RouteAccess } from '@millrace/contracts'
import { type ChildHandle, eventually, freePort, startProcess } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fuzz } from '../fuzz/fuzz.ts'
import { prepare } from '../fuzz/prepare.ts'
import { manifest, requestOf } from './access-requests.ts'
import { type StoreServer, startStore } from './redis.ts'

const ADMIN_KEY = 'the-key-of-whoever-sets-this-up-0001'
const METRICS_KEY = 'the-key-of-whoever-looks-at-graphs-01'
/** What probes and scrapers read; it is in no document. */
const OPERATIONS = ['GET /livez', 'GET /readyz', 'GET /metrics', 'GET /openapi.json']
const APPS = ['dispatcher', 'scheduler', 'audit'] as const

let redis: StoreServer
const home = mkdtempSync(join(tmpdir(), 'millrace-access-'))
const apps = new Map<AppName, { child: ChildHandle; url: string }>()
const keys = new Map<string, string>()

beforeAll(async () => {
  redis = await startStore()
  for (const name of APPS) apps.set(name, await startApp(name))
  for (const { url } of apps.values()) {
    await eventually(() => fetch(`${url}/readyz`).then(({ ok }) => ok), {
      timeoutMs: 60_000,
      what: `${url} to be ready`,
    })
  }
  await call('dispatcher', 'PUT /services/shop', ADMIN_KEY, { manifest: manifest('shop'), url: 'http://127.0.0.1:9' })
  await call('dispatcher', 'PUT /services/other', ADMIN_KEY, { manifest: manifest('other'), url: 'http://127.0.0.1:9' })
  for (const role of ROLES) {
    for (const namespace of ['shop', 'other', '*']) keys.set(`${role}:${namespace}`, await makeKey(role, namespace))
  }
}, 120_000)
afterAll(async () => {
  await Promise.all([...apps.values()].map(({ child }) => child.stop()))
  await redis.stop()
  rmSync(home, { recursive: true, force: true })
})

async function startApp(name: AppName) {
  const port = String(await freePort())
  const child = await startProcess({
    file: new URL(`../../apps/${name}/src/main.ts`, import.meta.url),
    env: {
      ...{ ...redis.env, MILLRACE_ADMIN_KEY: ADMIN_KEY, LOG_LEVEL: 'warn' },
      ...{ MILLRACE_TARGETS: 'loopback', MILLRACE_METRICS_KEY: METRICS_KEY },
      ...{ MILLRACE_HOME: home, [`MILLRACE_${name.toUpperCase()}_PORT`]: port },
    },
  })
  return { child, url: `http://127.0.0.1:${port}` }
}

async function makeKey(role: Role, namespace: string): Promise<string> {
  const body = { name: `${role} of ${namespace}`, grants: [`${role}:${namespace}`], who: 'test' }
  const made = await call('dispatcher', 'POST /keys', ADMIN_KEY, body)
  expect(made.status, JSON.stringify(made.body)).toBe(201)
  return (made.body as { key: string }).key
}

async function call(app: AppName, route: string, key: string | undefined, body?: unknown) {
  const [method = '', path = ''] = route.split(' ')
  const response = await fetch(`${apps.get(app)?.url}${path}`, {
    method,
    headers: {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(body !== undefined && { 'content-type': 'application/json' }),
    },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(20_000),
  })
  // A stream never ends; its status is all that is of interest.
  const isStream = response.headers.get('content-type')?.startsWith('text/event-stream') ?? false
  if (isStream) await response.body?.cancel()
  return { status: response.status, body: isStream ? undefined : await response.json().catch(() => undefined) }
}

const ROUTES = APPS.flatMap((app) =>
  Object.entries<RouteAccess>(ACCESS[app]).map(([route, access]) => ({
    ...{ app, route, access: access === 'metrics' ? METRICS_READERS : access },
  })),
)
const guarded = ROUTES.flatMap(({ app, route, access }) => (access === 'open' ? [] : [{ app, route, ...access }]))

/** Ids that the guard has to look up need something that is there. */
async function waitingJob(namespace: string): Promise<string> {
  const body = { namespace, queue: 'waiting', data: 1, delayMs: 3_600_000 }
  const { body: made } = await call('dispatcher', 'POST /jobs', ADMIN_KEY, body)
  const { id } = made as { id: string }
  const isThere = async () => (await call('audit', `GET /v1/jobs/${id}`, ADMIN_KEY)).status === 200
  await eventually(isThere, { timeoutMs: 60_000, what: `${id} to be in the trail` })
  return id
}

describe('every route', () => {
  it.each(APPS)('of the %s stands in the table, and the table has no other', async (app) => {
    const { body } = await call(app, 'GET /openapi.json', undefined)
    const documented = Object.entries((body as { paths: Record<string, object> }).paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path.replace(/\{([^}]+)\}/g, ':$1')}`),
    )
    const hidden = [...OPERATIONS, 'GET /__scheduled']
    const table = Object.keys(ACCESS[app]).filter((route) => !hidden.includes(route))
    expect(documented.filter((route) => !hidden.includes(route)).sort()).toEqual(
      table.map((route) => route.replace('/*', '/:*')).sort(),
    )
  })

  it.each(ROUTES)('$app $route asks for a key, unless it is open to all', async ({ app, route, access }) => {
    const of = access === 'open' ? 'any' : access.of
    const { route: asked, body } = requestOf(route, of, { namespace: 'shop', job: 'job_1' })
    const { status } = await call(app, asked, undefined, body)
    if (access === 'open') expect(status).not.toBe(401)
    else expect(status).toBe(401)
    if (access !== 'open') expect((await call(app, asked, 'wrong', body)).status).toBe(401)
  })

  it.each(guarded)('$app $route lets in whom the table names, and nobody else', async ({ app, route, roles, of }) => {
    let job = await waitingJob('shop')
    for (const role of ROLES) {
      const mayRole = role === 'admin' || (roles as readonly Role[]).includes(role)
      for (const where of ['shop', 'other', '*']) {
        const may = mayRole && (where === '*' || of === 'any' || (where === 'shop' && of !== 'all'))
        const { route: asked, body } = requestOf(route, of, { namespace: 'shop', job })
        const { status } = await call(app, asked, keys.get(`${role}:${where}`), body)
        if (status === 200 && route.endsWith('/cancel')) job = await waitingJob('shop')
        expect([role, where, may ? 'let in' : status], asked).toEqual([role, where, may ? 'let in' : 403])
        if (may) expect([401, 403], `${role}:${where}`).not.toContain(status)
      }
    }
  })
})

describe('an unknown member of the query', () => {
  it.each(ROUTES)('is refused by $app $route, unless probes may add it', async ({ app, route, access }) => {
    const of = access === 'open' ? 'any' : access.of
    const { route: asked, body } = requestOf(route, of, { namespace: 'shop', job: 'job_1' })
    const path = `${asked}${asked.includes('?') ? '&' : '?'}dryRun=true`
    const { status, body: answer } = await call(app, path, ADMIN_KEY, body)
    if (OPERATIONS.includes(route)) expect(status).toBe(200)
    else expect([status, answer]).toMatchObject([422, { code: 'request.invalid', errors: [{ pointer: '/dryRun' }] }])
  })
})

describe('a list that names no namespace', () => {
  const lists = guarded.filter(({ of, route }) => of === 'query' && !route.includes('stream') && !route.includes('*'))
  it.each(lists)('$app $route is for those who may see all', async ({ app, route }) => {
    expect((await call(app, route, keys.get('operator:shop'))).status).not.toBe(200)
    expect((await call(app, route, keys.get('auditor:shop'))).status).not.toBe(200)
  })

  it.each(lists)('$app $route with a namespace shows nothing of another', async ({ app, route }) => {
    for (const role of ROLES) {
      const init = { headers: { authorization: `Bearer ${keys.get(`${role}:shop`)}` } }
      const answer = await fetch(`${apps.get(app)?.url}${route.replace('GET ', '')}?namespace=shop`, init)
      expect(await answer.text(), role).not.toMatch(/"namespace": ?"other"/)
    }
  })
})

describe('a list of one namespace', () => {
  it.each([
    ['dispatcher', 'GET /queues', 'queues'],
    ['scheduler', 'GET /schedules', 'schedules'],
  ] as const)('%s %s tells nothing of another', async (app, route, member) => {
    const { body } = await call(app, `${route}?namespace=shop`, keys.get('operator:shop'))
    const listed = (body as Record<string, { namespace: string }[]>)[member]
    expect([...new Set(listed?.map(({ namespace }) => namespace))]).toEqual(['shop'])
  })
})

describe('what somebody has done', () => {
  it('is recorded under the name of their key, whatever they called themselves', async () => {
    const key = keys.get('operator:shop')
    expect((await call('dispatcher', 'POST /queues/shop/mail/pause', key, { who: 'root', why: 'x' })).status).toBe(200)
    const { body } = await call('dispatcher', 'GET /queues?namespace=shop', key)
    const { queues } = body as { queues: { queue: string; paused?: { who: string } }[] }
    expect(queues.find(({ queue }) => queue === 'mail')?.paused?.who).toBe('root (operator of shop)')
    expect((await call('dispatcher', 'POST /queues/shop/mail/resume', key, {})).status, 'the key is name enough').toBe(
      200,
    )
  })
})

describe('the key for metrics', () => {
  it.each(APPS)('reads the metrics of the %s and nothing else', async (app) => {
    const url = `${apps.get(app)?.url}`
    const headers = { authorization: `Bearer ${METRICS_KEY}` }
    expect(await (await fetch(`${url}/metrics`, { headers })).text()).toContain('millrace_build_info')
    const other = guarded.find((each) => each.app === app && each.route !== 'GET /metrics')?.route ?? ''
    expect((await call(app, other, METRICS_KEY)).status, other).toBe(401)
  })
})

describe('the doctor', () => {
  it('says of metrics that are not for its key that it has not seen them', async () => {
    const doctor = async (key: string | undefined) => {
      const child = await startProcess({
        file: new URL('../../apps/cli/bin/millrace.mjs', import.meta.url),
        args: ['doctor', '--json', ...APPS.flatMap((app) => [`--${app}`, apps.get(app)?.url ?? ''])],
        env: { ...redis.env, MILLRACE_API_KEY: key },
      })
      await child.exited
      const { findings } = JSON.parse(child.stdout()) as { findings: { check: string; state: string }[] }
      return findings.filter(({ check }) => /\.(metrics|version)$/.test(check) && !check.startsWith('redis'))
    }
    const states = (check: string, state: string) => APPS.map((app) => ({ check: `${app}.${check}`, state }))
    expect(await doctor(keys.get('auditor:shop'))).toMatchObject(states('metrics', 'skipped'))
    expect(await doctor(keys.get('auditor:*'))).toMatchObject(states('version', 'ok'))
  })
})

describe('a key that is revoked', () => {
  const streams = guarded.filter(({ route }) => route.endsWith('/stream'))

  it('reads no stream on, and waits for nothing, a few seconds later', async () => {
    const { body: made } = await call('dispatcher', 'POST /keys', ADMIN_KEY, {
      ...{ name: 'reader', grants: ['auditor:shop'], who: 'test' },
    })
    const { key, id } = made as { key: string; id: string }
    const job = await waitingJob('shop')
    const waits = [
      { app: 'audit', asked: `GET /v1/jobs/${job}?wait=60s` },
      { app: 'dispatcher', asked: 'GET /events?namespace=shop&after=now&wait=30' },
    ] as const
    const open = ({ app, asked }: { app: AppName; asked: string }) =>
      fetch(`${apps.get(app)?.url}${asked.slice('GET '.length)}`, { headers: { authorization: `Bearer ${key}` } })
    const answers = streams.map(({ app, route, of }) =>
      open({ app, asked: requestOf(route, of, { namespace: 'shop', job }).route }),
    )
    expect((await Promise.all(answers)).map(({ status }) => status)).toEqual(streams.map(() => 200))
    const waiting = waits.map((each) =>
      open(each).then(
        ({ status }) => status,
        () => 'broke off',
      ),
    )

    await call('dispatcher', `POST /keys/${id}/revoke`, ADMIN_KEY, { who: 'test', why: 'it was in a log' })
    const revokedAt = performance.now()
    for (const answer of answers) expect(await (await answer).text()).toMatch(/event: cut\ndata: {"reason":"refused",/)
    expect(await Promise.all(waiting)).toEqual(['broke off', 'broke off'])
    // Two seconds for which a key is remembered and two until it is asked for again; the rest is for a busy machine.
    expect(performance.now() - revokedAt).toBeLessThan(10_000)
    expect(streams.length).toBeGreaterThan(3)
  })
})

describe('what nobody would ask for', () => {
  it('gets an answer from every route, and no app is worse for it', async () => {
    const headers = { authorization: `Bearer ${ADMIN_KEY}` }
    const urls = Object.fromEntries([...apps].map(([name, { url }]) => [name, url])) as Record<AppName, string>
    const known = await prepare(urls.dispatcher, headers)
    const { requests, statuses, faults } = await fuzz({
      ...{ urls, headers, known, seed: 20_261_122 },
      ...{ requests: 300, forMs: 60_000 },
    })
    expect(faults).toEqual([])
    expect(requests).toBeGreaterThan(100)
    expect(Object.keys(statuses)).toEqual(expect.arrayContaining(['200', '404', '422']))
    for (const { child, url } of apps.values()) {
      expect((await fetch(`${url}/readyz`)).status, url).toBe(200)
      expect(child.output()).not.toContain('http.failed')
    }
  }, 120_000)
})

describe('an app without authentication', () => {
  it.each(APPS)('%s does not start where others could reach it, and says what to do', async (name) => {
    const child = await startProcess({
      file: new URL(`../../apps/${name}/src/main.ts`, import.meta.url),
      env: {
        ...{ ...redis.env, MILLRACE_HOME: home, MILLRACE_HOST: '0.0.0.0' },
        [`MILLRACE_${name.toUpperCase()}_PORT`]: '0',
      },
    })
    expect((await child.exited).code).toBe(1)
    expect(child.output()).toMatch(/MILLRACE_HOST=0\.0\.0\.0 would let everybody .* MILLRACE_ADMIN_KEY/s)
    expect(child.output()).not.toContain('    at ')
  })

  it.each(APPS)('%s listens on this machine alone, and says so', async (name) => {
    const child = await startProcess({
      file: new URL(`../../apps/${name}/src/main.ts`, import.meta.url),
      env: {
        ...{ ...redis.env, MILLRACE_HOME: home },
        [`MILLRACE_${name.toUpperCase()}_PORT`]: '0',
      },
    })
    const said = JSON.parse(await child.waitForLine(/"access\.open"/)) as object
    expect(said).toMatchObject({ host: '127.0.0.1', msg: expect.stringContaining('only this machine') })
    expect(child.output()).toContain('Server listening at http://127.0.0.1:')
    await child.stop()
  })
})
