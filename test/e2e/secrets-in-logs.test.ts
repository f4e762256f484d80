import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import {
  type ChildHandle,
  eventually,
  freePort,
  type PostgresServer,
  type Receiver,
  startPostgres,
  startProcess,
  startReceiver,
} from '@millrace/testkit'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type StoreServer, startStore } from './redis.ts'
import { redisContents } from './redis-contents.ts'

// Each is planted where a real one would be, and none of them may be in any line.
const SECRETS = {
  redisPassword: 'redis-password-9f31',
  sentinelPassword: 'sentinel-password-8e24',
  databasePassword: 'database-password-4c02',
  apiKey: 'api-key-77aa1',
  cookie: 'session-cookie-5e5e5',
  payload: 'payload-card-4111111111111111',
  payloadNumber: '987654321012',
  answer: 'answer-of-the-worker-3d3d',
  eventData: 'event-data-ssn-078051120',
  auditData: 'audit-data-diagnosis-b20',
  sinkToken: 'sink-token-T0K3N',
  query: 'query-token-6b6b6',
  collectorKey: 'collector-key-1a1a1',
  idempotencyKey: 'idempotency-of-ada-2b2b2',
  masterKey: 'c4'.repeat(32),
} as const

/** Made by the platform, and told to nobody but whoever asked for it. */
let signingSecret = ''
/** Connections that were there before there was a password, and therefore need none. */
let direct: Awaited<ReturnType<StoreServer['clients']>>
const APPS = ['dispatcher', 'scheduler', 'audit'] as const
let redis: StoreServer
let redisUrl = ''
let postgres: PostgresServer
let worker: Receiver
const apps: ChildHandle[] = []
const urls: Record<(typeof APPS)[number], string> = { dispatcher: '', scheduler: '', audit: '' }

async function startApp(name: (typeof APPS)[number], env: Record<string, string> = {}): Promise<ChildHandle> {
  const port = await freePort()
  urls[name] = `http://127.0.0.1:${port}`
  const app = await startProcess({
    file: new URL(`../../apps/${name}/src/main.ts`, import.meta.url),
    env: {
      // The most that can be said.
      LOG_LEVEL: 'trace',
      ...redis.env,
      REDIS_URL: redisUrl,
      [`MILLRACE_${name.toUpperCase()}_PORT`]: String(port),
      OTEL_EXPORTER_OTLP_ENDPOINT: 'http://127.0.0.1:9',
      OTEL_EXPORTER_OTLP_HEADERS: `authorization=Bearer ${SECRETS.collectorKey}`,
      OTEL_BSP_SCHEDULE_DELAY: '50',
      ...(name === 'dispatcher' && { MILLRACE_MASTER_KEY: SECRETS.masterKey }),
      ...env,
    },
    readyWhen: name === 'audit' ? /service\.listening/ : new RegExp(`${name}\\.ready`),
    readyTimeoutMs: 40_000,
  })
  apps.push(app)
  return app
}

async function call(method: string, url: string, body?: unknown, headers: Record<string, string> = {}) {
  const response = await fetch(url, {
    method,
    headers: {
      authorization: `Bearer ${SECRETS.apiKey}`,
      cookie: `session=${SECRETS.cookie}`,
      ...(body !== undefined && { 'content-type': 'application/json' }),
      ...headers,
    },
    ...(body !== undefined && { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: response.status, text: await response.text() }
}

const output = () => apps.map((app) => app.output()).join('\n')

/** A receiver whose address has a secret in it, as those of chat services have. */
const MANIFEST = (url: string) => ({
  manifest: {
    metadata: { name: 'shop' },
    spec: {
      queues: [
        { name: 'mail', endpoint: '/internal/mail', retries: 1, retryDelayMs: 1 },
        { name: 'many', endpoint: '/internal/many', batch: { maxSize: 2, maxWaitMs: 10 } },
      ],
      schedules: [
        { name: 'tidy', cron: '@every 1s', endpoint: '/internal/tidy', payload: { secret: SECRETS.payload } },
      ],
      subscriptions: [{ name: 'paid', types: ['order.paid'], endpoint: '/internal/paid' }],
    },
  },
  url,
  who: 'test',
})

beforeAll(async () => {
  redis = await startStore()
  postgres = await startPostgres()
  worker = await startReceiver()
  direct = await redis.clients()
  redisUrl = await redis.lock({ redis: SECRETS.redisPassword, sentinel: SECRETS.sentinelPassword })
  const database = new URL(await postgres.createDatabase())
  database.password = SECRETS.databasePassword
  await Promise.all([startApp('dispatcher'), startApp('scheduler'), startApp('audit', { DATABASE_URL: database.href })])
  const secrets = `${urls.dispatcher}/services/shop/secrets`
  const made = await call('POST', `${secrets}/rotate`, { who: 'test' })
  signingSecret = (JSON.parse(made.text) as { secret: string }).secret
  expect(signingSecret).toMatch(/^whsec_/)
  expect((await call('POST', `${secrets}/rotate`, { who: 'test', kind: 'ed25519' })).status).toBe(201)
  expect((await call('PUT', `${urls.dispatcher}/services/shop`, MANIFEST(worker.url))).text).not.toContain('detail')
})
afterAll(async () => {
  await Promise.all(apps.map((app) => app.stop()))
  await Promise.all([worker?.stop(), postgres?.stop(), redis?.stop()])
})

/** A key in any form that somebody could use it in. */
const formsOf = (key: Buffer) => [key.toString('hex'), key.toString('base64'), key.toString('base64url')]
const keyForms = () => [
  ...formsOf(Buffer.from(SECRETS.masterKey, 'hex')),
  ...formsOf(Buffer.from(signingSecret.slice('whsec_'.length), 'base64')),
]

describe('the log files at their most talkative', () => {
  it('have no line and no label that somebody else wrote', async () => {
    const forged = `\n{"level":30,"event":"forged.line"}\r\nforged_metric{queue="x"} 1\u2028`
    const encoded = encodeURIComponent(forged)
    const by = { who: forged, why: forged }
    // A worker's words end up in dead letters; a header cannot hold a line feed, but may hold what some take for one.
    worker.script('/internal/mail', { status: 489, body: forged, headers: { 'x-reason': 'a\u0085forged.line' } })
    const dispatcher = urls.dispatcher
    const answers = await Promise.all([
      call('POST', `${dispatcher}/jobs`, { namespace: 'shop', queue: 'mail', data: forged }),
      call('POST', `${dispatcher}/jobs`, { namespace: forged, queue: forged, data: {} }),
      call('POST', `${dispatcher}/queues/shop/mail/pause`, by),
      call('POST', `${dispatcher}/queues/shop/mail/resume`, by),
      call('POST', `${dispatcher}/queues/shop/${encoded}/pause`, by),
      call('POST', `${dispatcher}/events?namespace=shop`, { type: forged, subject: forged, data: forged }),
      call('GET', `${dispatcher}/jobs/${encoded}?x=${encoded}`),
      call('GET', `${dispatcher}/${encoded}`, undefined, {
        'user-agent': 'a\u0085forged.line',
        'x-request-id': 'a\tb',
      }),
      call('PUT', `${dispatcher}/services/shop`, { ...MANIFEST(forged), who: forged }),
      call('POST', `${urls.scheduler}/schedules/shop/${encoded}/trigger`, by),
      call('POST', `${urls.audit}/v1/events/emit`, {
        ...{ namespace: 'shop', eventType: forged, entityId: forged, data: forged, metadata: by },
      }),
      call('GET', `${urls.audit}/v1/events?namespace=${encoded}&who=${encoded}`),
    ])
    expect(answers.map(({ status }) => status).filter((status) => status >= 500)).toEqual([])
    await worker.waitFor('/internal/mail', 1)
    await eventually(() => output().includes('"job.dead"'))
    const lines = apps.flatMap((app) => app.lines()).filter((line) => line !== '')
    const events = lines.map((line) => (JSON.parse(line) as { event?: string }).event)
    expect(events).toContain('job.dead')
    expect(events.filter((event) => event?.includes('forged'))).toEqual([])
    for (const app of APPS) {
      const { text } = await call('GET', `${urls[app]}/metrics`)
      expect(text).toMatch(/^millrace_/m)
      expect(text).not.toContain('forged')
    }
  })

  it('hold no secret and no payload, whatever goes right or wrong', async () => {
    const { payload, payloadNumber, answer, eventData, auditData, query, idempotencyKey, sinkToken } = SECRETS
    worker.script(
      '/internal/mail',
      { status: 500, body: answer },
      { status: 200, body: JSON.stringify({ answer }) },
      { status: 489, body: answer },
    )
    const job = { namespace: 'shop', queue: 'mail', data: { payload, card: Number(payloadNumber) }, idempotencyKey }
    await call('POST', `${urls.dispatcher}/jobs`, job)
    await worker.waitFor('/internal/mail', 2)
    await call('POST', `${urls.dispatcher}/jobs`, { ...job, idempotencyKey: undefined })
    await worker.waitFor('/internal/mail', 3)
    await call('POST', `${urls.dispatcher}/jobs`, { ...job, data: 'another' })
    await call('POST', `${urls.dispatcher}/jobs?token=${query}`, `{"namespace":"shop","data":"${payload}`)
    await call('POST', `${urls.dispatcher}/jobs/batch`, {
      jobs: [
        { ...job, queue: 'many' },
        { ...job, queue: 'nobody' },
      ],
    })
    await call('GET', `${urls.dispatcher}/jobs/none?token=${query}`)
    await call('POST', `${urls.dispatcher}/events?namespace=shop`, { type: 'order.paid', data: { eventData } })
    await worker.waitFor('/internal/paid', 1)
    await worker.waitFor('/internal/tidy', 1)
    const emit = {
      namespace: 'shop',
      eventType: 'policy.read',
      entityId: 'p1',
      data: { auditData },
      metadata: { who: 'ada' },
    }
    await call('POST', `${urls.audit}/v1/events/emit`, emit)
    await call('POST', `${urls.audit}/v1/events/emit`, { ...emit, entityId: 7 })
    await call('GET', `${urls.audit}/v1/events?namespace=shop&token=${query}`)

    // What is told of the platform while it goes well: metrics, the trail, and all that Redis holds.
    const secretsUrl = `${urls.dispatcher}/services/shop/secrets`
    await call('POST', `${secretsUrl}/rotate`, { who: 'test', kind: signingSecret })
    await call('POST', `${secretsUrl}/${encodeURIComponent(signingSecret)}/revoke`, { who: 'test', why: 'test' })
    const trail = await eventually(async () => {
      const { text } = await call('GET', `${urls.audit}/v1/events?namespace=shop&limit=200`)
      return text.includes('secret.created') && text
    })
    const told = await Promise.all(APPS.map((app) => call('GET', `${urls[app]}/metrics`)))
    const events = await call('GET', `${urls.dispatcher}/events?namespace=shop&from=earliest`)
    const listed = await call('GET', secretsUrl)
    const contents = (await Promise.all(direct.map(redisContents))).join('\n')
    expect(contents).toContain('"sealed')
    const everything = [trail, events.text, listed.text, contents, ...told.map(({ text }) => text)].join('\n')
    expect(keyForms().filter((form) => everything.includes(form))).toEqual([])

    // Each request of each kind is one that the library for Standard Webhooks takes.
    const paths = ['/internal/mail', '/internal/many', '/internal/paid', '/internal/tidy']
    const requests = worker.requests()
    expect(new Set(requests.map(({ path }) => path))).toEqual(new Set(paths))
    const webhook = new Webhook(signingSecret)
    for (const { body, headers } of requests) webhook.verify(body, headers as Record<string, string>)
    expect(requests.every(({ headers }) => /v1a,/.test(String(headers['webhook-signature'])))).toBe(true)

    // A worker that is not there, under a path that nobody should read.
    const gone = createServer().listen(0, '127.0.0.1')
    await new Promise((resolve) => gone.once('listening', resolve))
    const { port } = gone.address() as AddressInfo
    await new Promise((resolve) => gone.close(resolve))
    await call('PUT', `${urls.dispatcher}/services/shop`, MANIFEST(`http://127.0.0.1:${port}/hooks/${sinkToken}`))
    await call('POST', `${urls.dispatcher}/jobs`, { ...job, idempotencyKey: undefined })
    await eventually(() => /connection_refused|ECONNREFUSED/.test(output()))

    // Both stores away: their errors name what could not be reached.
    await Promise.all([redis.killAll(), postgres.kill()])
    await call('POST', `${urls.dispatcher}/jobs`, { ...job, idempotencyKey: undefined })
    await call('POST', `${urls.audit}/v1/events/emit`, emit)
    await eventually(() => /redis\.connection_error/.test(output()) && /recorder\.failed|store/.test(output()))
    expect(output()).toMatch(/"job\.dead"/)
    expect(keyForms().filter((form) => output().includes(form))).toEqual([])
    const found = Object.entries(SECRETS).filter(([, secret]) => output().includes(secret))
    expect(found.map(([name]) => name)).toEqual([])
  })

  it('nor do the words of a process that cannot start', async () => {
    const secret = SECRETS.redisPassword
    const broken = await startProcess({
      file: new URL('../../apps/audit/src/main.ts', import.meta.url),
      env: {
        REDIS_URL: `redsi://default:${secret}@127.0.0.1:1`,
        DATABASE_URL: `mysql://u:${SECRETS.databasePassword}@h/d`,
      },
    })
    expect(await broken.exited).toMatchObject({ code: 1 })
    expect(broken.output()).toMatch(/REDIS_URL: expected redis:\/\/.*got "redsi:\/\/default:…@127\.0\.0\.1:1"/)
    const away = await startProcess({
      file: new URL('../../apps/dispatcher/src/main.ts', import.meta.url),
      env: { REDIS_URL: `redis://default:${secret}@127.0.0.1:1`, MILLRACE_DISPATCHER_PORT: '0', LOG_LEVEL: 'trace' },
    })
    await away.waitForLine(/redis\.connection_error/)
    await away.killGroup()
    // A master key with a character too few is still one that must not be read in a log.
    const cut = await startProcess({
      file: new URL('../../apps/dispatcher/src/main.ts', import.meta.url),
      env: { MILLRACE_MASTER_KEY: SECRETS.masterKey.slice(1) },
    })
    expect(await cut.exited).toMatchObject({ code: 1 })
    expect(cut.output()).toContain('MILLRACE_MASTER_KEY: expected 32 bytes')
    expect(cut.output()).not.toContain(SECRETS.masterKey.slice(1))
    for (const { output: said } of [broken, away]) {
      for (const planted of Object.values(SECRETS)) expect(said()).not.toContain(planted)
    }
  })
})
