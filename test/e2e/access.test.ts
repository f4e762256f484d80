import { dirname } from 'node:path'
import { ACCESS, type AppName, type NamespaceOf, ROLES, type Role, type RouteAccess } from '@millrace/contracts'
import { type ChildHandle, eventually, freePort, type RedisServer, startProcess, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { fuzz } from '../fuzz/fuzz.ts'
import { prepare } from '../fuzz/prepare.ts'

const ADMIN_KEY = 'the-key-of-whoever-sets-this-up-0001'
const APPS = ['dispatcher', 'scheduler', 'audit'] as const

let redis: RedisServer
const apps = new Map<AppName, { child: ChildHandle; url: string }>()
const keys = new Map<string, string>()

beforeAll(async () => {
  redis = await startRedis()
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
})

async function startApp(name: AppName) {
  const port = String(await freePort())
  const child = await startProcess({
    file: new URL(`../../apps/${name}/src/main.ts`, import.meta.url),
    env: {
      ...{ REDIS_URL: `unix://${redis.socketPath}`, MILLRACE_ADMIN_KEY: ADMIN_KEY, LOG_LEVEL: 'warn' },
      MILLRACE_TARGETS: 'loopback',
      ...{ MILLRACE_HOME: dirname(redis.socketPath), [`MILLRACE_${name.toUpperCase()}_PORT`]: port },
    },
  })
  return { child, url: `http://127.0.0.1:${port}` }
}

const manifest = (namespace: string) => ({
  metadata: { name: namespace },
  spec: {
    queues: ['mail', 'waiting'].map((name) => ({ name, endpoint: `/internal/jobs/${name}` })),
    schedules: [{ name: 'nightly', cron: '0 2 * * *', endpoint: '/internal/cron/nightly' }],
    subscriptions: [{ name: 'orders', types: ['order.*'], endpoint: '/internal/events/orders' }],
  },
})

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

/** A request of a route that is about one namespace, as far as a route lets one say. */
function requestOf(route: string, of: NamespaceOf, { namespace, job }: { namespace: string; job: string }) {
  const [method, pattern = ''] = route.split(' ')
  const path = pattern
    .replace(':namespace', namespace)
    .replace(':name', pattern.startsWith('/schedules') ? 'nightly' : 'mail')
    .replace('/*', '/e1/chain')
    .replace(/^\/subscriptions\/:id/, `/subscriptions/${namespace}.orders`)
    .replace(':id', job)
  const query = { ...(of === 'query' && { namespace }), ...MORE[route] }
  if (method === 'GET') return { route: `${method} ${path}?${new URLSearchParams(query)}`, body: undefined }
  return { route: `${method} ${path}`, body: bodyOf(route, of, namespace) }
}

const MORE: Readonly<Record<string, Record<string, string>>> = {
  'GET /__scheduled': { cron: '0 5 31 12 *' },
  'GET /v1/progress/stream': { process: 'import' },
  'GET /v1/log': { partition: '0', to: '1-0' },
}

/** What of a body the guard reads, and nothing that would let the request change anything. */
function bodyOf(route: string, of: NamespaceOf, namespace: string): unknown {
  const by = { who: 'test', why: 'test' }
  switch (route) {
    case 'POST /jobs':
      return { namespace, queue: 'nothing', data: 1 }
    case 'POST /jobs/batch':
      return { jobs: [{ namespace, queue: 'nothing', data: 1 }] }
    case 'POST /events':
      return { namespace, type: 'test.said', data: 1 }
    case 'POST /subscriptions':
      return { config: { namespace, name: 'mine' }, sink: 'http://127.0.0.1:9/', types: ['nothing.*'], ...by }
    case 'PUT /services/:namespace':
      return { manifest: manifest('someone-else'), url: 'http://127.0.0.1:9' }
    case 'POST /dead-letters/redrive':
    case 'POST /dead-letters/discard':
      return { filter: { namespace, queue: 'mail' }, ...by }
    case 'POST /v1/events/emit':
      return { namespace, eventType: 'test.said', entityId: 'e1', data: 1, metadata: { who: 'test' } }
    case 'PUT /subscriptions/:id':
      return { config: { namespace, name: 'orders' }, sink: 'http://127.0.0.1:9/', types: ['nothing.*'], ...by }
    case 'POST /jobs/:id/heartbeat':
      return { token: '1.x', leaseSeconds: 30 }
    case 'POST /jobs/:id/complete':
      return { token: '1.x' }
    case 'POST /jobs/:id/fail':
      return { token: '1.x', error: 'test' }
    case 'POST /jobs/:id/reschedule':
      return { delayMs: 3_600_000, ...by }
    case 'POST /jobs/:id/progress':
      return { title: 'x', total: 1, progress: 1 }
    case 'POST /subscriptions/:id/move':
      return { to: 'now', ...by }
    case 'POST /subscriptions/:id/replay':
      return { from: 'earliest', dryRun: true, ...by }
    case 'POST /subscriptions/try':
      return { namespace }
    case 'POST /schedules/preview':
      return { cron: '0 2 * * *' }
    case 'POST /schedules/:namespace/:name/backfills':
      return { from: '2026-01-01T00:00:00Z', to: '2026-01-01T00:00:01Z', ...by }
    case 'POST /keys':
      return { name: 'one more', grants: ['producer:shop'], ...by }
    default:
      return of === 'body' ? { namespace, ...by } : by
  }
}

const ROUTES = APPS.flatMap((app) =>
  Object.entries<RouteAccess>(ACCESS[app]).map(([route, access]) => ({ app, route, access })),
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
    const hidden = ['GET /livez', 'GET /readyz', 'GET /metrics', 'GET /openapi.json', 'GET /__scheduled']
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

describe('a list that names no namespace', () => {
  const lists = guarded.filter(({ of, route }) => of === 'query' && !route.includes('stream') && !route.includes('*'))
  it.each(lists)('$app $route is for those who may see all', async ({ app, route }) => {
    expect((await call(app, route, keys.get('operator:shop'))).status).not.toBe(200)
    expect((await call(app, route, keys.get('auditor:shop'))).status).not.toBe(200)
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
        ...{
          REDIS_URL: `unix://${redis.socketPath}`,
          MILLRACE_HOME: dirname(redis.socketPath),
          MILLRACE_HOST: '0.0.0.0',
        },
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
        ...{ REDIS_URL: `unix://${redis.socketPath}`, MILLRACE_HOME: dirname(redis.socketPath) },
        [`MILLRACE_${name.toUpperCase()}_PORT`]: '0',
      },
    })
    const said = JSON.parse(await child.waitForLine(/"access\.open"/)) as object
    expect(said).toMatchObject({ host: '127.0.0.1', msg: expect.stringContaining('only this machine') })
    expect(child.output()).toContain('Server listening at http://127.0.0.1:')
    await child.stop()
  })
})
