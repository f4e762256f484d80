import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import { manifestQueueSchema, type QueueDefinition } from '@millrace/contracts'
import type { AttemptResult } from '@millrace/engine'
import { systemClock } from '@millrace/runtime'
import type { ClaimedJob, JobMeta } from '@millrace/streams'
import { headersIn } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AttemptDeps, attempt, placeOf } from '../src/delivery/attempt.ts'
import type { AttemptTraces } from '../src/delivery/attempt-traces.ts'
import { createBatcher } from '../src/delivery/batcher.ts'
import { createSender, type Sender } from '../src/delivery/sender.ts'
import { OPEN_TARGETS } from './fixture.ts'

let sender: Sender
let server: Server
let sockets: Socket[]
let heads: string[]
let url: string
beforeEach(async () => {
  sender = createSender()
  sockets = []
  heads = []
  server = createServer((socket) => {
    sockets.push(socket)
    socket.on('data', (chunk) => {
      const text = chunk.toString('latin1')
      heads.push(text.slice(0, text.indexOf('\r\n\r\n') + 2))
      socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterEach(async () => {
  await sender.close()
  for (const socket of sockets) socket.destroy()
  await new Promise((resolve) => server.close(resolve))
})

const queue: QueueDefinition = {
  kind: 'queue',
  ...manifestQueueSchema.parse({ name: 'mail', endpoint: '/internal/mail', batch: { maxSize: 2 } }),
}
const job: ClaimedJob = {
  address: 'shop/mail',
  lane: 'normal',
  readyAtMs: 0,
  id: 'job_0193a1b2c3d0000c002',
  attempt: 1,
  epoch: 1,
  meta: {},
  data: '{"schedule":"nightly","cron":"0 2 * * *"}',
  moved: false,
}
const TICK = { ...job, data: '{"schedule":"nightly","cron":"0 2 * * *\\r\\nx-other: b"}' }
const SIGNATURE = 'webhook-signature: v1,abc\r\n'
const target = (definition: QueueDefinition) => ({
  ...placeOf(definition, url, OPEN_TARGETS.of('shop')),
  sign: () => SIGNATURE,
})
const depsWith = (traces?: AttemptTraces): AttemptDeps => ({ sender, clock: systemClock, random: () => 0, traces })

const resultOf = (of: ClaimedJob, definition = queue, traces?: AttemptTraces) =>
  new Promise<AttemptResult>((resolve) =>
    attempt(of, target(definition), depsWith(traces), ({ result }) => resolve(result)),
  )
const withMeta = (meta: JobMeta) => ({ ...job, meta })

/** Spans of which only what their requests carry is of interest. */
function tracesOf(headers: { traceparent: string; tracestate?: string }, ended: unknown[] = []): AttemptTraces {
  const ids = { traceId: '0af7651916cd43dd8448eb211c80319c', spanId: 'b7ad6b7169203331' }
  const span = { ids, headers, end: (end: unknown) => void ended.push(end) }
  return { one: () => span, batch: () => span }
}

describe('an attempt', () => {
  it.each<[string, ClaimedJob, QueueDefinition?]>([
    ['tracestate', withMeta({ tracestate: 'a\r\nx-other: b' })],
    ['tracestate', withMeta({ tracestate: '漢' })],
    ['tracestate', withMeta({ tracestate: 'a\0' })],
    ['traceparent', withMeta({ traceparent: 'a\nx-other: b' })],
    ['webhook-id', { ...job, id: 'job_1\r\nx-other: b' }],
    ['x-max-attempts', withMeta({ retries: '1\r\nx-other: b' as unknown as number })],
    ['x-subscription', job, { ...queue, kind: 'subscription', name: 'orders\r\nx-other: b' }],
    ['x-replay', withMeta({ replay: 'moved\r\nx-other: b' }), { ...queue, kind: 'subscription' }],
    ['x-cron-expression', TICK, { ...queue, kind: 'schedule' }],
  ])('with a %s that no header can carry has failed, and nothing is sent', async (name, of, definition = queue) => {
    const error = `the header ${name} has a character that no header can carry`
    expect(await resultOf(of, definition)).toEqual({ kind: 'failed', reason: 'network', error })
    expect(sockets).toEqual([])
  })

  it('that cannot be sent has ended when it is returned, and ends its span', async () => {
    const ended: unknown[] = []
    const results: AttemptResult[] = []
    const traces = tracesOf({ traceparent: 'a\r\nb: c' }, ended)
    const sending = attempt(job, target(queue), depsWith(traces), ({ result }) => results.push(result))
    sending.end({ kind: 'failed', reason: 'cancelled', error: 'enough' })
    expect(results).toMatchObject([{ kind: 'failed', error: expect.stringContaining('the header traceparent') }])
    expect(ended).toMatchObject([{ result: results[0] }])
  })

  it('carries its signature, and the trace of its span in place of that of the job', async () => {
    const stored = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'a=1' }
    const own = '00-0af7651916cd43dd8448eb211c80319c-00f067aa0ba902b7-01'
    await resultOf(withMeta(stored))
    await resultOf(withMeta(stored), queue, tracesOf({ traceparent: own }))
    await resultOf(withMeta(stored), queue, tracesOf({ traceparent: own, tracestate: 'b=2' }))
    const sent = heads.map((head) => headersIn(head.slice(head.indexOf('\r\n') + 2)))
    expect(sent).toMatchObject([
      stored,
      { traceparent: own, tracestate: 'a=1' },
      { traceparent: own, tracestate: 'b=2' },
    ])
    for (const headers of sent) expect(headers).toMatchObject({ 'webhook-id': job.id, 'webhook-signature': 'v1,abc' })
  })
})

describe('a batch', () => {
  it('with a header that cannot be sent is a failed attempt of each of its jobs, and nothing is sent', async () => {
    const definition = { ...queue, batch: { maxSize: 2, maxWaitMs: 0 } }
    const said: string[] = []
    const events = {
      opened: () => said.push('opened'),
      ended: () => said.push('ended'),
      sent: (size: number) => said.push(`sent ${size}`),
      ignored: () => said.push('ignored'),
    }
    const traces = tracesOf({ traceparent: 'a\r\nx-other: b' })
    const batcher = createBatcher({ ...target(queue), definition }, depsWith(traces), events)
    const results: AttemptResult[] = []
    for (const id of ['job_1', 'job_2']) batcher.add({ ...job, id }, ({ result }) => results.push(result))
    const failed = { kind: 'failed', error: 'the header traceparent has a character that no header can carry' }
    expect(results).toMatchObject([failed, failed])
    expect(said).toEqual(['opened', 'sent 2', 'ended'])
    expect(sockets).toEqual([])
  })
})
