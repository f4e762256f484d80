import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import {
  consume,
  createPublisher,
  createQueue,
  type PullConsumer,
  type Queue,
  type ReceivedEvent,
  Septor,
  subscribe,
  traceDelivery,
} from '@millrace/sdk'
import { freePort, type Receiver, startReceiver } from '@millrace/testkit'
import { context, propagation, type Tracer, trace } from '@opentelemetry/api'
import { suppressTracing } from '@opentelemetry/core'
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest'
import { blockOf, readPage } from '../docs/pages.ts'
import type { SentSpan } from './otlp-receiver.ts'
import { type StoreServer, startStore } from './redis.ts'
import { traceThisService } from './service-tracing.ts'
import {
  contextOf,
  deliveryOf,
  named,
  send,
  startTraced,
  type TracedApp,
  traceparentOf,
  waitForSpans,
} from './traced-platform.ts'

const MAIL = { namespace: 'shop', queue: 'mail' }

let redis: StoreServer
let collector: Receiver
let dispatcher: TracedApp
let service: Server
let queue: Queue
let tracer: Tracer
let endTracing: () => void
const open: PullConsumer[] = []
/** What the service does for a mail; it may throw. */
let onMail: () => unknown = () => undefined

const spans = (count: number, fits: (span: SentSpan) => boolean) => waitForSpans(collector, count, fits)
const attemptOf = (span: SentSpan) => Number(span.attributes['messaging.millrace.attempt'])
const byAttempt = (a: SentSpan, b: SentSpan) => attemptOf(a) - attemptOf(b)
const workOf = (id: string) => (span: SentSpan) =>
  span.name.startsWith('process ') && span.attributes['messaging.message.id'] === id
const pullOptions = () => ({ redis: redis.url, namespace: 'shop', closeTimeoutMs: 0 })

async function pull(consumer: PullConsumer): Promise<void> {
  open.push(consumer)
  await consumer.ready
}

beforeAll(async () => {
  redis = await startStore()
  collector = await startReceiver()
  dispatcher = await startTraced('dispatcher', { redis, collector })
  const port = await freePort()
  service = createServer(async (request, response) => {
    try {
      await traceDelivery(request, MAIL, async () => onMail())
      response.writeHead(204).end()
    } catch {
      response.writeHead(500).end()
    }
  }).listen(port, '127.0.0.1')
  const manifest = {
    metadata: { name: 'shop' },
    spec: {
      queues: [
        { name: 'mail', endpoint: '/internal/mail', retries: 1, retryDelayMs: 1 },
        { name: 'resize', delivery: 'pull', retries: 1, retryDelayMs: 1 },
      ],
    },
  }
  const url = `http://127.0.0.1:${port}`
  expect((await send('PUT', `${dispatcher.url}/services/shop`, { manifest, url, who: 'test' })).status).toBe(200)
  queue = createQueue({ url: dispatcher.url, namespace: 'shop' })
})

afterAll(async () => {
  await Promise.all(open.map((consumer) => consumer.close()))
  await dispatcher?.process.stop()
  service?.close()
  await collector?.stop()
  await redis?.stop()
})

describe('a service that is not traced', () => {
  it('enters nothing of tracing, neither where it sends nor where it works', async () => {
    const entered = [
      vi.spyOn(context, 'with'),
      vi.spyOn(context, 'active'),
      vi.spyOn(propagation, 'inject'),
      vi.spyOn(propagation, 'extract'),
      vi.spyOn(trace, 'getTracer'),
    ]
    const { promise: mailed, resolve } = Promise.withResolvers<void>()
    onMail = resolve
    const { promise: resized, resolve: onResized } = Promise.withResolvers<void>()
    const consumer = consume('resize', () => onResized(), pullOptions())
    await consumer.ready
    await queue.enqueue('mail', 1)
    await queue.enqueue('resize', 1)
    await createPublisher({ url: dispatcher.url, namespace: 'shop' }).publish({ type: 'order.paid' })
    await Promise.all([mailed, resized])
    await consumer.close()
    for (const each of entered) {
      expect(each).not.toHaveBeenCalled()
      each.mockRestore()
    }
  })
})

describe('a service that is traced', () => {
  beforeAll(() => {
    const traced = traceThisService('shop', collector.url)
    tracer = traced.tracer
    endTracing = traced.end
  })
  afterAll(() => endTracing())

  it('leads from its producer over the enqueue and each attempt to its worker', async () => {
    let calls = 0
    onMail = () => {
      tracer.startSpan('smtp').end()
      if (++calls === 1) throw new RangeError('no room')
    }
    const { id } = await tracer.startActiveSpan('checkout', async (span) => {
      const enqueued = await queue.enqueue('mail', { to: 'ada' }, { idempotencyKey: 'one' })
      span.end()
      return enqueued
    })
    const work = (await spans(2, workOf(id))).toSorted(byAttempt)
    const traceId = work[0]?.traceId as string
    const [checkout] = await spans(1, named('checkout', traceId))
    const enqueues = await spans(2, named('enqueue shop/mail', traceId))
    const produced = enqueues.find(({ service }) => service === 'shop') as SentSpan
    const accepted = enqueues.find(({ service }) => service === 'millrace-dispatcher') as SentSpan
    const [server] = await spans(1, named('POST /jobs', traceId))
    const deliveries = (await spans(2, deliveryOf(id))).toSorted(byAttempt)
    const requests = await spans(2, named('POST', traceId))
    const inner = await spans(2, named('smtp', traceId))

    expect(produced).toMatchObject({ kind: 'PRODUCER', parentSpanId: checkout?.spanId, failed: false })
    expect(produced.attributes).toMatchObject({ 'messaging.operation.type': 'send', 'messaging.message.id': id })
    // What the job was created in is the producer's span; the dispatcher's own only says that it was accepted.
    expect(server).toMatchObject({ kind: 'SERVER', parentSpanId: produced.spanId })
    expect(accepted).toMatchObject({ kind: 'CLIENT', parentSpanId: server?.spanId, links: [contextOf(produced)] })
    for (const [index, delivery] of deliveries.entries()) {
      expect(delivery).toMatchObject({ parentSpanId: produced.spanId, links: [contextOf(produced)] })
      const request = requests.find(({ parentSpanId }) => parentSpanId === delivery.spanId) as SentSpan
      expect(work[index]).toMatchObject({
        service: 'shop',
        name: 'process shop/mail',
        kind: 'CONSUMER',
        parentSpanId: request.spanId,
        links: [{ ...contextOf(request), attributes: { 'messaging.message.id': id } }],
        failed: index === 0,
      })
      expect(attemptOf(work[index] as SentSpan)).toBe(index + 1)
      expect(inner.map(({ parentSpanId }) => parentSpanId)).toContain(work[index]?.spanId)
    }
    expect(work[0]?.attributes['error.type']).toBe('RangeError')
    // In another trace the same job is the same job.
    expect((await queue.enqueue('mail', { to: 'ada' }, { idempotencyKey: 'one' })).id).toBe(id)
  })

  it('has nothing to do but to name what it works on, as the page says', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-docs-'))
    symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(folder, 'node_modules'))
    const port = await freePort()
    const file = join(folder, 'mail-service.mjs')
    const { text } = blockOf(readPage('docs/operations.md'), 'mail-service.mjs')
    writeFileSync(file, text.replace('3000', String(port)))
    await import(/* @vite-ignore */ pathToFileURL(file).href)
    const producer = { traceId: '8'.repeat(32), spanId: '8'.repeat(16) }
    const headers = {
      traceparent: traceparentOf(producer),
      'webhook-id': 'job_8',
      'x-attempt': '3',
      'x-job-epoch': '4',
    }
    const deliver = () => fetch(`http://127.0.0.1:${port}/internal/mail`, { method: 'POST', headers })
    expect((await context.with(suppressTracing(context.active()), deliver)).status).toBe(204)
    const [work] = await spans(1, workOf('job_8'))
    expect(work).toMatchObject({ name: 'process shop/mail', kind: 'CONSUMER', parentSpanId: producer.spanId })
    expect(work?.attributes).toMatchObject({ 'messaging.millrace.attempt': 3, 'messaging.millrace.epoch': 4 })
    rmSync(folder, { recursive: true })
  })

  it('says what an enqueue came to nothing for', async () => {
    await expect(queue.enqueue('nowhere', 1)).rejects.toMatchObject({ code: 'queue.unknown' })
    const sent = await spans(1, (span) => span.name === 'enqueue shop/nowhere' && span.service === 'shop')
    expect(sent).toMatchObject([{ kind: 'PRODUCER', failed: true, attributes: { 'error.type': 'queue.unknown' } }])
  })

  it('works on pulled jobs in the trace that created them, or in one of its own with a link', async () => {
    const seen: (string | undefined)[] = []
    const handler = () => {
      seen.push(trace.getActiveSpan()?.spanContext().spanId)
      if (seen.length === 1) throw new Error('not yet')
    }
    await pull(consume('resize', handler, pullOptions()))
    const { id } = await queue.enqueue('resize', 1)
    const work = (await spans(2, workOf(id))).toSorted(byAttempt)
    const produced = await spans(1, named('enqueue shop/resize', work[0]?.traceId)).then(
      (found) => found.find(({ service }) => service === 'shop') as SentSpan,
    )
    const link = { ...contextOf(produced), attributes: { 'messaging.message.id': id } }
    const common = { name: 'process shop/resize', kind: 'CONSUMER', parentSpanId: produced.spanId, links: [link] }
    expect(work).toMatchObject([
      { ...common, failed: true, attributes: { 'messaging.millrace.outcome': 'retry', 'error.type': 'worker_failed' } },
      { ...common, failed: false, attributes: { 'messaging.millrace.outcome': 'succeeded' } },
    ])
    expect(seen).toEqual(work.map(({ spanId }) => spanId))

    await open.pop()?.close()
    await pull(consume('resize', () => undefined, { ...pullOptions(), traces: 'linked' }))
    const second = await queue.enqueue('resize', 2)
    const [alone] = await spans(1, workOf(second.id))
    expect(alone).toMatchObject({ parentSpanId: undefined, links: [expect.anything()] })
    expect(alone?.traceId).not.toBe(alone?.links[0]?.traceId)
  })

  it('publishes events that carry their trace to whoever subscribes', async () => {
    const { promise: received, resolve } = Promise.withResolvers<unknown>()
    const onEvent = (event: ReceivedEvent) => resolve(event.traceparent)
    await pull(subscribe('receipts', 'order.shipped', onEvent, pullOptions()))
    const publisher = createPublisher({ url: dispatcher.url, namespace: 'shop' })
    const { id } = await publisher.publish({ type: 'order.shipped', subject: 'order/7' })
    const [work] = await spans(1, named('process shop/subscription:receipts'))
    const published = await spans(2, named('publish shop', work?.traceId))
    const produced = published.find(({ service }) => service === 'shop') as SentSpan
    expect(produced).toMatchObject({ kind: 'PRODUCER', attributes: { 'messaging.message.id': id } })
    expect(await received).toBe(traceparentOf(produced))
    expect(work).toMatchObject({ parentSpanId: produced.spanId, links: [contextOf(produced)] })
    expect(work?.attributes).toMatchObject({ 'messaging.destination.subscription.name': 'receipts' })

    const own = { traceId: '7'.repeat(32), spanId: '7'.repeat(16) }
    await publisher.publish({ type: 'order.shipped', traceparent: traceparentOf(own) })
    const kept = await spans(1, named('process shop/subscription:receipts', own.traceId))
    expect(kept).toMatchObject([{ parentSpanId: own.spanId }])
    await publisher.publishAll([{ type: 'order.shipped' }, { type: 'order.shipped' }])
    const isBatch = (span: SentSpan) =>
      span.service === 'shop' && span.attributes['messaging.batch.message_count'] === 2
    const [batch] = await spans(1, isBatch)
    const both = await spans(2, named('process shop/subscription:receipts', batch?.traceId))
    expect(both.map(({ parentSpanId }) => parentSpanId)).toEqual([batch?.spanId, batch?.spanId])
  })

  it('emits into the audit trail under a span that lasts until the event is accepted', async () => {
    const trail = await startReceiver()
    trail.script(
      '/v1/events/emit',
      { status: 503 },
      { status: 201, body: { success: true, data: { eventId: 'evt_1', eventHash: 'h', chainIndex: 0 } } },
    )
    const backoff = { baseMs: 1, maxMs: 1 }
    const septor = new Septor({ apiUrl: trail.url, namespace: 'shop', backoff })
    await septor.emit('order.seen', { entityId: 'order/7', data: {}, metadata: { who: 'ada' } })
    const [emit] = await spans(1, named('emit shop'))
    expect(emit).toMatchObject({ kind: 'PRODUCER', failed: false, attributes: { 'messaging.message.id': 'evt_1' } })
    const sent = trail.requests('/v1/events/emit').map(({ headers }) => headers.traceparent)
    expect(sent).toEqual([traceparentOf(emit as SentSpan), traceparentOf(emit as SentSpan)])
    await trail.stop()
  })
})
