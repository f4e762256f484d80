import { eventually, type ReceivedRequest, type Receiver, startReceiver } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type SentSpan, spansIn } from './otlp-receiver.ts'
import { type StoreServer, startStore } from './redis.ts'
import {
  type Answer,
  contextOf,
  deliveryOf,
  named,
  send,
  startTraced,
  type TracedApp,
  traceparentOf,
  waitForSpans,
} from './traced-platform.ts'

const PRODUCER = { traceId: '4bf92f3577b34da6a3ce929d0e0e4736', spanId: '00f067aa0ba902b7' }

let redis: StoreServer
let collector: Receiver
let worker: Receiver
let dispatcher: TracedApp
let scheduler: TracedApp

const MANIFEST = {
  metadata: { name: 'shop' },
  spec: {
    queues: [
      { name: 'mail', endpoint: '/internal/mail', retries: 1, retryDelayMs: 1 },
      { name: 'index', endpoint: '/internal/index', batch: { maxSize: 3, maxWaitMs: 2000 } },
    ],
    schedules: [{ name: 'tidy', cron: '@every 1s', endpoint: '/internal/tidy' }],
    subscriptions: [{ name: 'paid', types: ['order.paid'], endpoint: '/internal/paid' }],
  },
}

const startApp = (name: 'dispatcher' | 'scheduler', env: Record<string, string> = {}) =>
  startTraced(name, { redis, collector, env })
const add = (queue: string, data: unknown, headers: Record<string, string> = {}): Promise<Answer> =>
  send('POST', `${dispatcher.url}/jobs`, { namespace: 'shop', queue, data }, headers)
const spans = (count: number, fits: (span: SentSpan) => boolean) => waitForSpans(collector, count, fits)

beforeAll(async () => {
  redis = await startStore()
  collector = await startReceiver()
  worker = await startReceiver()
  const apps = await Promise.all([startApp('dispatcher'), startApp('scheduler')])
  dispatcher = apps[0]
  scheduler = apps[1]
  const applied = await send('PUT', `${dispatcher.url}/services/shop`, {
    manifest: MANIFEST,
    url: worker.url,
    who: 'test',
  })
  expect(applied.body.detail).toBeUndefined()
})
afterAll(async () => {
  await Promise.all([dispatcher?.process.stop(), scheduler?.process.stop()])
  await Promise.all([worker?.stop(), collector?.stop()])
  await redis?.stop()
})

describe('the trace of a job', () => {
  it('leads from a producer without a trace over the enqueue and each attempt to the worker', async () => {
    worker.script('/internal/mail', { status: 500 }, { status: 200 })
    const { body } = await add('mail', { to: 'ada' })
    const deliveries = await spans(2, deliveryOf(body.id))
    const [enqueue] = await spans(1, named('enqueue shop/mail', deliveries[0]?.traceId))
    const [server] = await spans(1, named('POST /jobs', enqueue?.traceId))
    const requests = await spans(2, named('POST', enqueue?.traceId))

    expect(server).toMatchObject({
      service: 'millrace-dispatcher',
      kind: 'SERVER',
      parentSpanId: undefined,
      failed: false,
    })
    expect(server?.attributes).toMatchObject({ 'http.route': '/jobs', 'http.response.status_code': 202 })
    expect(enqueue).toMatchObject({ kind: 'PRODUCER', parentSpanId: server?.spanId, links: [] })
    expect(enqueue?.attributes).toEqual({
      'messaging.system': 'millrace',
      'messaging.operation.name': 'enqueue',
      'messaging.operation.type': 'send',
      'messaging.destination.name': 'shop/mail',
      'messaging.message.id': body.id,
    })
    const link = { ...contextOf(enqueue as SentSpan), attributes: { 'messaging.message.id': body.id } }
    const common = { kind: 'CONSUMER', parentSpanId: enqueue?.spanId, links: [link] }
    const byAttempt = deliveries.toSorted(
      (a, b) => Number(a.attributes['messaging.millrace.attempt']) - Number(b.attributes['messaging.millrace.attempt']),
    )
    expect(byAttempt).toMatchObject([
      { ...common, failed: true },
      { ...common, failed: false },
    ])
    const attributes = {
      'messaging.system': 'millrace',
      'messaging.operation.name': 'deliver',
      'messaging.operation.type': 'process',
      'messaging.destination.name': 'shop/mail',
      'messaging.message.id': body.id,
    }
    const attempt = (n: number) => ({ 'messaging.millrace.attempt': n, 'messaging.millrace.epoch': n })
    expect(byAttempt.map((span) => span.attributes)).toEqual([
      { ...attributes, ...attempt(1), 'messaging.millrace.outcome': 'retry', 'error.type': 'http_status' },
      { ...attributes, ...attempt(2), 'messaging.millrace.outcome': 'succeeded' },
    ])
    const received = worker.requests('/internal/mail')
    byAttempt.forEach((delivery, index) => {
      const request = requests.find((span) => span.parentSpanId === delivery.spanId) as SentSpan
      expect(request).toMatchObject({ kind: 'CLIENT', failed: index === 0 })
      expect(request.attributes).toMatchObject({
        'http.request.method': 'POST',
        'server.address': '127.0.0.1',
        'server.port': worker.port,
        'http.response.status_code': index === 0 ? 500 : 200,
      })
      expect(received[index]?.headers.traceparent).toBe(traceparentOf(request))
    })
  })

  it("keeps the producer's context as the one that the job was created in, with its tracestate", async () => {
    const before = worker.requests('/internal/mail').length
    const { body } = await add('mail', 1, { traceparent: traceparentOf(PRODUCER), tracestate: 'vendor=42' })
    const [delivery] = await spans(1, deliveryOf(body.id))
    const [enqueue] = await spans(1, named('enqueue shop/mail', PRODUCER.traceId))
    const [server] = await spans(1, named('POST /jobs', PRODUCER.traceId))
    expect(server).toMatchObject({ parentSpanId: PRODUCER.spanId })
    // Its context is not the one that the job carries, so it is no PRODUCER.
    expect(enqueue).toMatchObject({ kind: 'CLIENT', parentSpanId: server?.spanId, links: [PRODUCER] })
    expect(delivery).toMatchObject({ traceId: PRODUCER.traceId, parentSpanId: PRODUCER.spanId, links: [PRODUCER] })
    const [request] = (await worker.waitFor('/internal/mail', before + 1)).slice(before)
    expect(request?.headers.traceparent).toMatch(new RegExp(`^00-${PRODUCER.traceId}-(?!${PRODUCER.spanId})`))
    expect(request?.headers.tracestate).toBe('vendor=42')
  })

  it('is not recorded when its producer does not record it, and says so to the worker', async () => {
    const unsampled = { traceId: '11111111111111111111111111111111', spanId: '2222222222222222' }
    const before = worker.requests('/internal/mail').length
    await add('mail', 1, { traceparent: traceparentOf(unsampled, '00') })
    const [request] = (await worker.waitFor('/internal/mail', before + 1)).slice(before)
    expect(request?.headers.traceparent).toMatch(new RegExp(`^00-${unsampled.traceId}-[0-9a-f]{16}-00$`))
    // What is traced later has arrived, and this has not.
    const { body } = await add('mail', 2)
    await spans(1, deliveryOf(body.id))
    expect(spansIn(collector).filter(({ traceId }) => traceId === unsampled.traceId)).toEqual([])
  })

  it('of a batch begins anew and links to what each of its jobs was created in', async () => {
    const created = [1, 2, 3].map((n) => ({ traceId: String(n).repeat(32), spanId: String(n).repeat(16) }))
    const answers = await Promise.all(
      created.map((each, index) => add('index', index, { traceparent: traceparentOf(each) })),
    )
    const [delivery] = await spans(1, named('deliver shop/index'))
    expect(delivery).toMatchObject({ kind: 'CONSUMER', parentSpanId: undefined })
    expect(created.map(({ traceId }) => traceId)).not.toContain(delivery?.traceId)
    expect(delivery?.attributes).toMatchObject({ 'messaging.batch.message_count': 3 })
    const links = created.map((each, index) => ({
      ...each,
      attributes: { 'messaging.message.id': answers[index]?.body.id },
    }))
    expect(delivery?.links.toSorted((a, b) => a.traceId.localeCompare(b.traceId))).toMatchObject(links)
    const [request] = await spans(1, named('POST', delivery?.traceId))
    const [received] = await worker.waitFor('/internal/index', 1)
    expect(received?.headers.traceparent).toBe(traceparentOf(request as SentSpan))
    const { jobs } = (received as ReceivedRequest).json() as { jobs: { traceparent: string }[] }
    expect(jobs.map(({ traceparent }) => traceparent).toSorted()).toEqual(created.map((each) => traceparentOf(each)))
  })

  it('of jobs that are enqueued together begins with one span for all of them', async () => {
    const jobs = [1, 2].map((data) => ({ namespace: 'shop', queue: 'mail', data }))
    const { body } = await send('POST', `${dispatcher.url}/jobs/batch`, { jobs })
    const ids = (body.results as { id: string }[]).map(({ id }) => id)
    const deliveries = await spans(
      2,
      (span) => span.name === 'deliver shop/mail' && ids.includes(String(span.attributes['messaging.message.id'])),
    )
    const [enqueue] = await spans(1, named('enqueue'))
    expect(enqueue).toMatchObject({ kind: 'PRODUCER', attributes: { 'messaging.batch.message_count': 2 } })
    expect(deliveries.map(({ parentSpanId }) => parentSpanId)).toEqual([enqueue?.spanId, enqueue?.spanId])
  })

  it('begins with the tick of a schedule', async () => {
    const [delivery] = await spans(1, named('deliver shop/schedule:tidy'))
    const [tick] = await spans(1, named('tick shop/schedule:tidy', delivery?.traceId))
    expect(tick).toMatchObject({ service: 'millrace-scheduler', kind: 'PRODUCER', parentSpanId: undefined })
    expect(tick?.attributes).toMatchObject({
      'messaging.operation.type': 'send',
      'messaging.message.id': delivery?.attributes['messaging.message.id'],
      'messaging.millrace.tick_id': expect.stringMatching(/^shop\/tidy@/),
      'messaging.millrace.late_ms': expect.any(Number),
    })
    expect(delivery).toMatchObject({ parentSpanId: tick?.spanId, links: [contextOf(tick as SentSpan)] })
  })

  it('of a schedule that is run by hand is under the request that asked for it', async () => {
    const asked = { traceId: '5'.repeat(32), spanId: '5'.repeat(16) }
    const run = await send(
      'POST',
      `${scheduler.url}/schedules/shop/tidy/trigger`,
      { who: 'ada' },
      { traceparent: traceparentOf(asked) },
    )
    expect(run.status).toBe(202)
    const [delivery] = await spans(1, named('deliver shop/schedule:tidy', asked.traceId))
    const [tick] = await spans(1, named('tick shop/schedule:tidy', asked.traceId))
    const [server] = await spans(1, named('POST /schedules/:namespace/:name/trigger', asked.traceId))
    expect(server).toMatchObject({ parentSpanId: asked.spanId })
    expect(tick).toMatchObject({ kind: 'CLIENT', parentSpanId: server?.spanId, links: [asked] })
    expect(delivery).toMatchObject({ parentSpanId: asked.spanId, links: [asked] })
  })

  it("begins with a published event, whose own traceparent is kept, and an event of ours gets the publisher's", async () => {
    const own = { traceId: '7'.repeat(32), spanId: '7'.repeat(16) }
    const event = { specversion: '1.0', id: 'e1', source: '/shop', type: 'order.paid', traceparent: traceparentOf(own) }
    await send('POST', `${dispatcher.url}/events?namespace=shop`, event, {
      'content-type': 'application/cloudevents+json',
    })
    const [delivery] = await spans(1, named('deliver shop/subscription:paid', own.traceId))
    expect(delivery).toMatchObject({ parentSpanId: own.spanId, links: [own] })
    expect(delivery?.attributes).toMatchObject({ 'messaging.destination.subscription.name': 'paid' })
    const [received] = await worker.waitFor('/internal/paid', 1)
    expect(received?.json()).toEqual(event)

    await send('POST', `${dispatcher.url}/events?namespace=shop`, { type: 'order.paid', data: 2 })
    const [, made] = await worker.waitFor('/internal/paid', 2)
    const [publish] = await spans(1, (span) => span.name === 'publish shop' && span.kind === 'PRODUCER')
    expect(made?.json()).toMatchObject({ traceparent: traceparentOf(publish as SentSpan) })
    const [second] = await spans(1, named('deliver shop/subscription:paid', publish?.traceId))
    expect(second).toMatchObject({ parentSpanId: publish?.spanId })
  })
})

describe('a traced app', () => {
  it('names the span of an attempt and of a request in its log lines', async () => {
    worker.script('/internal/mail', { status: 489 })
    const { body } = await add('mail', 1)
    const [delivery] = await spans(1, deliveryOf(body.id))
    const line = JSON.parse(await dispatcher.process.waitForLine(new RegExp(`"job.dead".*${body.id}`))) as Record<
      string,
      unknown
    >
    expect(line).toMatchObject({ trace_id: delivery?.traceId, span_id: delivery?.spanId })
    worker.script('/internal/mail', { status: 200 })
  })

  it('records the share of traces that its sampler takes, and links deliveries where it is told to', async () => {
    const [off, linked] = await Promise.all([
      startApp('dispatcher', {
        OTEL_TRACES_SAMPLER: 'traceidratio',
        OTEL_TRACES_SAMPLER_ARG: '0',
        OTEL_SERVICE_NAME: 'unseen',
      }),
      startApp('dispatcher', { MILLRACE_DELIVERY_TRACES: 'linked', OTEL_SERVICE_NAME: 'linking' }),
    ])
    // Alone on the queue, so that one of these two delivers.
    await dispatcher.process.stop()
    await send('POST', `${off.url}/jobs`, { namespace: 'shop', queue: 'mail', data: 1 })
    await off.process.stop()
    const { body } = await send('POST', `${linked.url}/jobs`, { namespace: 'shop', queue: 'mail', data: 1 })
    const [delivery] = await spans(1, deliveryOf(body.id))
    const [enqueue] = await spans(1, (span) => span.name === 'enqueue shop/mail' && span.service === 'linking')
    expect(delivery).toMatchObject({
      service: 'linking',
      parentSpanId: undefined,
      links: [contextOf(enqueue as SentSpan)],
    })
    expect(delivery?.traceId).not.toBe(enqueue?.traceId)
    await linked.process.stop()
    expect(spansIn(collector).filter(({ service }) => service === 'unseen')).toEqual([])
  })

  it('goes on when its collector is away, says so once, and sends protobuf unless told otherwise', async () => {
    const away = await startReceiver()
    const { process, url } = await startApp('dispatcher', {
      OTEL_EXPORTER_OTLP_ENDPOINT: away.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: '',
    })
    const enqueue = () => send('POST', `${url}/jobs`, { namespace: 'shop', queue: 'mail', data: 1 })
    await enqueue()
    await eventually(() => away.requests('/v1/traces').some(({ body }) => body.includes('enqueue shop/mail')))
    expect(away.requests().map(({ headers }) => headers['content-type'])).not.toContain('application/json')
    away.script('/v1/traces', { status: 400 })
    expect((await enqueue()).status).toBe(202)
    await process.waitForLine(/"tracing.failed"/)
    const refused = away.requests('/v1/traces').length
    await enqueue()
    await away.waitFor('/v1/traces', refused + 1)
    await away.stop()
    expect(await process.stop()).toMatchObject({ code: 0 })
    expect(process.lines().filter((line) => line.includes('tracing.failed'))).toHaveLength(1)
  })
})
