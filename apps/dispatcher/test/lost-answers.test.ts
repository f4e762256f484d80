import { claim, createPartitions, enqueue, lease, readLogRange } from '@millrace/streams'
import {
  eventually,
  type FaultProxy,
  type Receiver,
  type RedisServer,
  startFaultProxy,
  startReceiver,
  startRedis,
} from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  addressOf,
  applyTo,
  type Client,
  dispatcherOn,
  expectBalance,
  metricOf,
  pathOf,
  type RunningDispatcher,
  typesOf,
} from './fixture.ts'

// Each script may run and its answer be lost. The proxy between dispatcher and Redis does exactly that, once.
let redis: RedisServer
let receiver: Receiver
let proxy: FaultProxy
let dispatcher: RunningDispatcher
let client: Client
beforeAll(async () => {
  redis = await startRedis()
  receiver = await startReceiver()
})
beforeEach(async () => {
  await redis.flush()
  proxy = await startFaultProxy({ targetPort: redis.port })
  const started = await dispatcherOn(proxy.url, { env: { MILLRACE_LEASE_MS: '600' } })
  dispatcher = started.dispatcher
  client = started.client
})
afterEach(async () => {
  await expectBalance(client)
  await dispatcher.stop()
  await proxy.stop()
})
afterAll(async () => {
  await receiver.stop()
  await redis.stop()
})

// As the scripts' arguments stand on the wire, each with its length before it.
const CLAIM = /\r\nlost\/mail\r\n\$1\r\n7\r\n/
const SETTLE = /\r\nlost\/mail\r\n\$0\r\n\r\n/
const ENQUEUE = /\r\nlost\/mail\r\n\$6\r\nnormal\r\n/
const TAKE_OVER = /\r\n\$3\r\n200\r\n\$1\r\n3\r\n/
const OPEN_PRINT = /\r\n000\r\n\$\d+\r\nlost\/(?:mail\r\n\$\d+\r\nlost\/)?print\r\n/

const path = pathOf('lost', 'mail')
const queues = [{ name: 'mail', concurrency: 7 }]

/** A queue through which a job has gone already, so that Redis knows every script. */
async function warmQueue(): Promise<void> {
  receiver.script(path, {})
  await applyTo(client, 'lost', queues, receiver.url)
  await client.enqueue('lost', 'mail', { data: 'warm' })
  await client.until('lost', 'mail', { succeeded: 1 })
}

async function running(): Promise<number> {
  const direct = redis.client()
  const inHand = await direct.hlen(`{p0}:in-hand:${addressOf('lost', 'mail')}`)
  direct.disconnect()
  return inHand
}

describe('the lost answer to', () => {
  it('a claim leaves jobs in nobody’s hands, which are handed over at no attempt', async () => {
    await warmQueue()
    const before = receiver.requests(path).length
    const matched = proxy.swallowAnswers(CLAIM)
    const direct = createPartitions(redis.client(), 1).of('')
    const jobs = [1, 2, 3].map((n) => ({ address: 'lost/mail', lane: 'normal' as const, data: `${n}` }))
    const accepted = await enqueue(direct, jobs)
    await matched
    await eventually(async () => (await running()) === 3)
    expect(receiver.requests(path)).toHaveLength(before)

    proxy.reset()
    await client.until('lost', 'mail', { succeeded: 4, running: 0, waiting: 0 })
    const delivered = receiver.requests(path).slice(before)
    expect(delivered.map(({ headers }) => [headers['x-attempt'], headers['x-job-epoch']])).toEqual([
      ['1', '2'],
      ['1', '2'],
      ['1', '2'],
    ])
    expect(await typesOf(redis, accepted[0]?.id ?? '')).toEqual([
      'job.enqueued',
      'job.started',
      'job.taken_over',
      'job.succeeded',
    ])
  })

  it('a takeover leaves jobs in nobody’s hands, which are handed over again', async () => {
    await warmQueue()
    const before = receiver.requests(path).length
    const direct = createPartitions(redis.client(), 1).of('')
    await lease(direct, { action: 'join', consumer: 'ghost', ttlMs: 60_000 })
    await eventually(async () => {
      // Sent together, so that the ghost is there before the dispatcher has heard of the job.
      const job = { address: 'lost/mail', lane: 'normal' as const, data: '1' }
      const claiming = { consumer: 'ghost', address: 'lost/mail', concurrency: 7, want: 1 }
      const [, claimed] = await Promise.all([enqueue(direct, [job]), claim(direct, claiming)])
      return claimed.kind === 'claimed' && claimed.jobs.length === 1
    })
    await eventually(async () => (await running()) === 1)
    const delivered = receiver.requests(path).length

    const matched = proxy.swallowAnswers(TAKE_OVER)
    await lease(direct, { action: 'leave', consumer: 'ghost' })
    await matched
    await eventually(async () => (await readLogRange(direct)).some((event) => event.type === 'job.taken_over'))
    proxy.reset()
    await receiver.waitFor(path, delivered + 1)
    await client.until('lost', 'mail', { running: 0, waiting: 0, dead: 0 })
    expect(receiver.requests(path).at(-1)?.headers).toMatchObject({ 'x-attempt': '1', 'x-job-epoch': '3' })
    expect(receiver.requests(path).length).toBeGreaterThan(before)
  })

  it('a settle is asked for again, and the job is settled once', async () => {
    await warmQueue()
    const before = receiver.requests(path).length
    const matched = proxy.swallowAnswers(SETTLE)
    const direct = createPartitions(redis.client(), 1).of('')
    const [job] = await enqueue(direct, [{ address: 'lost/mail', lane: 'normal', data: '1' }])
    await matched
    await eventually(async () => (await typesOf(redis, job?.id ?? '')).includes('job.succeeded'))
    proxy.reset()
    await client.until('lost', 'mail', { succeeded: 2, running: 0 })
    expect(receiver.requests(path)).toHaveLength(before + 1)
    const finished = { namespace: 'lost', queue: 'mail', outcome: 'succeeded' }
    await eventually(async () => (await metricOf(client, 'millrace_jobs_finished_total', finished)) === 2)
    expect(await typesOf(redis, job?.id ?? '')).toEqual(['job.enqueued', 'job.started', 'job.succeeded'])
  })

  it('an enqueue is a 503, and the same request again finds the job by its key', async () => {
    await warmQueue()
    const matched = proxy.swallowAnswers(ENQUEUE)
    const send = () =>
      client.call<{ id: string; code: string }>('POST', '/jobs', {
        body: { namespace: 'lost', queue: 'mail', data: 1, idempotencyKey: 'k' },
      })
    const first = send()
    await matched
    await eventually(async () => {
      const direct = redis.client()
      const accepted = await direct.hget(`{p0}:counts:${addressOf('lost', 'mail')}`, 'accepted')
      direct.disconnect()
      return accepted === '2'
    })
    proxy.reset()
    const refused = await first
    expect(refused).toMatchObject({ status: 503, body: { code: 'store.unavailable' } })
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0)
    const again = await eventually(async () => {
      const reply = await send()
      return reply.status !== 503 && reply
    })
    expect(again.status).toBe(200)
    await client.until('lost', 'mail', { accepted: 2, succeeded: 2 })
  })

  it('the opening of a queue does not leave it without anybody who delivers it', async () => {
    await warmQueue()
    const matched = proxy.swallowAnswers(OPEN_PRINT)
    const applied = applyTo(client, 'lost', [...queues, { name: 'print' }], receiver.url).catch(() => undefined)
    await matched
    proxy.reset()
    await applied
    await eventually(async () => {
      const body = { namespace: 'lost', queue: 'print', data: 1 }
      return (await client.call('POST', '/jobs', { body })).status === 202
    })
    await client.until('lost', 'print', { running: 0, waiting: 0 })
  })
})

describe('a half-open connection', () => {
  it('is noticed and replaced, and delivery and wake-ups go on', async () => {
    await warmQueue()
    proxy.freeze()
    const direct = createPartitions(redis.client(), 1).of('')
    await enqueue(direct, [{ address: 'lost/mail', lane: 'normal', data: '1' }])
    // Redis answers new connections all the while; TCP itself would take a quarter of an hour to give up the old ones.
    await eventually(async () => (await redis.client().hget('{p0}:counts:lost/mail', 'succeeded')) === '2', {
      timeoutMs: 15_000,
      intervalMs: 200,
      what: 'the job to be delivered over a new connection',
    })
    await client.until('lost', 'mail', { succeeded: 2, running: 0 })
  })
})
