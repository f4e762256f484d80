import { eventually, type Receiver, type RedisServer, startReceiver, startRedis } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type DispatcherProcess, startDispatcherProcess } from './dispatcher-process.ts'
import { applyTo, createClient, expectBalance, metricOf, pathOf, typesOf } from './fixture.ts'

let redis: RedisServer
let receiver: Receiver
let started: DispatcherProcess[]
beforeAll(async () => {
  redis = await startRedis({ appendonly: true, appendfsync: 'always' })
  receiver = await startReceiver()
})
beforeEach(async () => {
  await redis.flush()
  started = []
})
afterEach(async () => {
  for (const { process } of started) await process.killGroup()
})
afterAll(async () => {
  await receiver.stop()
  await redis.stop()
})

const path = pathOf('shop', 'mail')

async function start(env: Parameters<typeof startDispatcherProcess>[1] = {}): Promise<DispatcherProcess> {
  const dispatcher = await startDispatcherProcess(redis.url, env)
  started.push(dispatcher)
  return dispatcher
}

/** Requests to wait at until the test lets them go. */
function gated(count: number) {
  const gate = Promise.withResolvers<void>()
  const held = Array.from({ length: count }, () => () => gate.promise.then(() => ({})))
  receiver.script(path, ...held, {})
  return gate
}

const attemptsOf = (id: string) =>
  receiver
    .requests(path)
    .filter(({ headers }) => headers['webhook-id'] === id)
    .map(({ headers }) => [headers['x-attempt'], headers['x-job-epoch']])

describe('a dispatcher that is killed with requests under way', () => {
  it('loses nothing: another delivers them, at no attempt', async () => {
    const first = await start()
    await applyTo(first.client, 'shop', [{ name: 'mail', retries: 0 }], receiver.url)
    gated(3)
    const ids = await Promise.all([1, 2, 3].map((data) => first.client.enqueue('shop', 'mail', { data })))
    await eventually(() => ids.every((id) => attemptsOf(id).length === 1))
    const second = await start()
    await first.process.kill()
    await second.client.until('shop', 'mail', { succeeded: 3, dead: 0, running: 0 })
    for (const id of ids) {
      expect(attemptsOf(id)).toEqual([
        ['1', '1'],
        ['1', '2'],
      ])
      expect(await typesOf(redis, id)).toEqual(['job.enqueued', 'job.started', 'job.taken_over', 'job.succeeded'])
    }
    expect(await metricOf(second.client, 'millrace_takeovers_total', { queue: 'mail' })).toBe(3)
    await expectBalance(second.client)
  })

  it('delivers them itself when it is the only one and comes back', async () => {
    const first = await start()
    await applyTo(first.client, 'shop', [{ name: 'mail', retries: 0 }], receiver.url)
    gated(1)
    const id = await first.client.enqueue('shop', 'mail')
    await eventually(() => attemptsOf(id).length === 1)
    await first.process.kill()
    const again = await start()
    await again.client.until('shop', 'mail', { succeeded: 1, dead: 0, running: 0 })
    expect(attemptsOf(id).at(-1)).toEqual(['1', '2'])
    await expectBalance(again.client)
  })
})

describe('a dispatcher that stands still past its lease', () => {
  it('has its jobs taken over, settles nothing afterwards, and works on under a new name', async () => {
    // Long enough that it is not lost while the second one starts on a busy machine, and the first would know it.
    const first = await start({ MILLRACE_LEASE_MS: '5000' })
    await applyTo(first.client, 'shop', [{ name: 'mail', retries: 0 }], receiver.url)
    const gate = gated(1)
    const id = await first.client.enqueue('shop', 'mail')
    await eventually(() => attemptsOf(id).length === 1)
    const second = await start()
    first.process.signal('SIGSTOP')
    await second.client.until('shop', 'mail', { succeeded: 1, running: 0 })
    gate.resolve()
    // Once the receiver has answered this, its answer to the delivery waits in the socket of the one that stands still.
    await (await fetch(`${receiver.url}/heartbeat`)).text()
    first.process.signal('SIGCONT')

    await eventually(async () => (await typesOf(redis, id)).includes('job.late'))
    expect((await typesOf(redis, id)).filter((type) => type === 'job.succeeded')).toHaveLength(1)
    await second.process.stop()
    await eventually(async () => (await first.client.call('GET', '/readyz')).status === 200)
    await first.client.enqueue('shop', 'mail')
    await first.client.until('shop', 'mail', { accepted: 2, succeeded: 2, running: 0 })
    expect(await metricOf(first.client, 'millrace_leases_lost_total')).toBe(1)
    await expectBalance(first.client)
  })
})

describe('a job that may take a day', () => {
  it.each(['SIGKILL', 'SIGSTOP'] as const)(
    'runs elsewhere within ten seconds of the %s of its dispatcher, with the leases that are the default',
    async (signal) => {
      const byDefault = { MILLRACE_LEASE_MS: undefined }
      const first = await start(byDefault)
      await applyTo(first.client, 'shop', [{ name: 'mail', retries: 0, timeoutMs: 86_400_000 }], receiver.url)
      receiver.script(path, { kind: 'hang' }, {})
      const id = await first.client.enqueue('shop', 'mail')
      await eventually(() => attemptsOf(id).length === 1)
      const second = await start(byDefault)
      const stoppedAt = performance.now()
      first.process.signal(signal)
      await eventually(() => attemptsOf(id).length === 2, { timeoutMs: 20_000 })
      expect(performance.now() - stoppedAt).toBeLessThan(10_000)
      expect(attemptsOf(id)[1]).toEqual(['1', '2'])
      await second.client.until('shop', 'mail', { succeeded: 1, running: 0 })
      await expectBalance(second.client)
    },
  )
})

describe('SIGTERM', () => {
  it('a second time ends it at once; what was under way is delivered elsewhere, at no attempt', async () => {
    const first = await start()
    await applyTo(first.client, 'shop', [{ name: 'mail', retries: 0 }], receiver.url)
    receiver.script(path, { kind: 'hang' }, {})
    const id = await first.client.enqueue('shop', 'mail')
    await eventually(() => attemptsOf(id).length === 1)
    first.process.signal('SIGTERM')
    await first.process.waitForLine(/service\.draining/)
    const askedAt = performance.now()
    first.process.signal('SIGTERM')
    expect((await first.process.exited).code, 'that it did not drain is no success').not.toBe(0)
    expect(performance.now() - askedAt).toBeLessThan(3000)
    const second = await start()
    await second.client.until('shop', 'mail', { succeeded: 1, dead: 0, running: 0 })
    expect(attemptsOf(id).at(-1)).toEqual(['1', '2'])
    await expectBalance(second.client)
  })

  it('lets requests under way finish, claims no more, and exits 0', async () => {
    // Nobody is to be taken for dead here, however long it stands still.
    const lease = { MILLRACE_LEASE_MS: '60000' }
    const first = await start(lease)
    await applyTo(first.client, 'shop', [{ name: 'mail', retries: 0, concurrency: 1 }], receiver.url)
    const gate = gated(1)
    const running = await first.client.enqueue('shop', 'mail', { data: 1 })
    await eventually(() => attemptsOf(running).length === 1)
    const waiting = await first.client.enqueue('shop', 'mail', { data: 2 })
    first.process.signal('SIGTERM')
    await first.process.waitForLine(/service\.draining/)
    await eventually(async () => (await first.client.call('GET', '/readyz')).status === 503)
    gate.resolve()
    expect(await first.process.exited).toEqual({ code: 0, signal: null })
    expect(await typesOf(redis, running)).toEqual(['job.enqueued', 'job.started', 'job.succeeded'])
    expect(attemptsOf(waiting), 'the waiting job was left to others').toEqual([])

    const second = await start(lease)
    await second.client.until('shop', 'mail', { succeeded: 2, running: 0 })
    expect(attemptsOf(waiting)).toEqual([['1', '1']])
    await expectBalance(second.client)
  })

  it('past the drain limit hands what is still under way to another at once, and exits 0', async () => {
    // With leases of a minute only the handover itself can bring the job to the other in time.
    const lease = { MILLRACE_LEASE_MS: '60000' }
    const first = await start({ ...lease, MILLRACE_DRAIN_MS: '100' })
    await applyTo(first.client, 'shop', [{ name: 'mail', retries: 0 }], receiver.url)
    receiver.script(path, { kind: 'hang' }, {})
    const id = await first.client.enqueue('shop', 'mail')
    await eventually(() => attemptsOf(id).length === 1)
    const second = await start(lease)
    expect(await first.process.stop()).toEqual({ code: 0, signal: null })
    await second.client.until('shop', 'mail', { succeeded: 1, running: 0 })
    expect(attemptsOf(id)).toEqual([
      ['1', '1'],
      ['1', '2'],
    ])
    await eventually(() => receiver.requests(path).find(({ headers }) => headers['webhook-id'] === id)?.aborted)
    expect(first.process.output(), 'what it ended itself is not called a failure').not.toContain('"event":"job.')
    await expectBalance(second.client)
  })

  it('ends soon while Redis is away, since nothing could be settled', async () => {
    const first = await start()
    await applyTo(first.client, 'shop', [{ name: 'mail', retries: 0 }], receiver.url)
    const gate = gated(1)
    const id = await first.client.enqueue('shop', 'mail')
    await eventually(() => attemptsOf(id).length === 1)
    await redis.kill()
    const askedAt = performance.now()
    expect(await first.process.stop()).toEqual({ code: 0, signal: null })
    expect(performance.now() - askedAt).toBeLessThan(6000)
    gate.resolve()

    await redis.restart()
    const second = await start()
    await second.client.until('shop', 'mail', { succeeded: 1, dead: 0, running: 0 })
    expect(attemptsOf(id).at(-1)).toEqual(['1', '2'])
    await expectBalance(second.client)
  })
})

describe('a rolling restart under load', () => {
  it('loses nothing and fails no attempt', async () => {
    const ports = [await start(), await start()]
    await applyTo(ports[0]!.client, 'shop', [{ name: 'mail', retries: 0, concurrency: 4 }], receiver.url)
    receiver.script(path, { delayMs: 3 })
    let producing = true
    let accepted = 0
    const produce = async (client: ReturnType<typeof createClient>) => {
      while (producing) {
        // A producer tries again with its key until somebody has said yes.
        const body = { namespace: 'shop', queue: 'mail', data: accepted, idempotencyKey: `k${accepted}` }
        const reply = await client.call('POST', '/jobs', { body }).catch(() => undefined)
        if (reply?.status === 202 || reply?.status === 200) accepted++
        else client = createClient(ports.find((each) => each.client.url !== client.url)?.client.url ?? client.url)
      }
    }
    const producer = produce(ports[0]!.client)
    for (const index of [0, 1]) {
      const target = accepted + 50
      await eventually(() => accepted >= target)
      expect(await ports[index]!.process.stop()).toEqual({ code: 0, signal: null })
      ports[index] = await start({ port: Number(new URL(ports[index]!.client.url).port) })
    }
    const target = accepted + 50
    await eventually(() => accepted >= target)
    producing = false
    await producer
    const { client } = ports[1]!
    await client.until('shop', 'mail', { accepted, succeeded: accepted, dead: 0, running: 0 })
    expect(receiver.requests(path).every(({ headers }) => headers['x-attempt'] === '1')).toBe(true)
    await expectBalance(client)
  })
})
