import { parseId } from '@millrace/contracts'
import {
  type ConsumeOptions,
  type EventHandler,
  type MillraceError,
  NoRetry,
  type PullConsumer,
  type ReceivedEvent,
  RetryAfter,
  subscribe,
} from '@millrace/sdk'
import { eventually } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type SubscribeRig, startSubscribeRig } from './subscribe-fixture.ts'

let rig: SubscribeRig
const open: PullConsumer[] = []
const faults: string[] = []
beforeAll(async () => {
  rig = await startSubscribeRig()
  await rig.apply([{ name: 'declared', types: ['declared.*'], delivery: 'pull' }])
})
afterEach(async () => {
  await Promise.all(open.splice(0).map((subscriber) => subscriber.close()))
  expect(faults.splice(0)).toEqual([])
})
afterAll(() => rig.stop())

type Filter = Parameters<typeof subscribe>[1]

async function start(
  group: string,
  filter: Filter,
  handler: EventHandler,
  options: Partial<ConsumeOptions> = {},
): Promise<PullConsumer> {
  const subscriber = subscribe(group, filter, handler, {
    redis: rig.redis.url,
    namespace: 'shop',
    closeTimeoutMs: 0,
    onError: (error) => faults.push(`${error.code}: ${error.message}`),
    ...options,
  })
  open.push(subscriber)
  await subscriber.ready
  return subscriber
}

const shown = async (group: string) => (await rig.call('GET', `/subscriptions/shop.${group}`)).body

describe('subscribe', () => {
  it('makes the subscription and takes each event once, however many take part', async () => {
    const seen: ReceivedEvent[] = []
    const handler: EventHandler = (event) => void seen.push(event)
    await start('one-call', ['one.*'], handler)
    await start('one-call', ['one.*'], handler)
    await rig.publish('other.sent', 0)
    const ids = []
    for (let n = 1; n <= 20; n++) ids.push(await rig.publish('one.sent', { n }, `order/${n % 3}`))
    await rig.until('one-call', { succeeded: 20 })
    expect(seen.map(({ data }) => (data as { n: number }).n).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, index) => index + 1),
    )
    // Events of several entities come in any order.
    const first = seen.find(({ data }) => (data as { n: number }).n === 1)
    expect(first).toMatchObject({ specversion: '1.0', source: '/default', type: 'one.sent', subject: 'order/1' })
    const view = await shown('one-call')
    expect(view).toMatchObject({ types: ['one.*'], config: { delivery: 'pull', madeBy: 'api', retries: 9 } })
    expect([view.sink, view.protocol]).toEqual([undefined, undefined])
  })

  it('changes nothing when asked again, and goes on from its place with another filter', async () => {
    const seen: unknown[] = []
    const handler: EventHandler = ({ data }) => void seen.push(data)
    const first = await start('changing', { types: ['changing.*'], filters: [{ exact: { subject: 'a' } }] }, handler)
    // A dispatcher hears of it a moment later.
    await eventually(async () => (await shown('changing')).id === 'shop.changing')
    const { version } = (await rig.call('GET', '/services/shop')).body
    await start('changing', { types: ['changing.*'], filters: [{ exact: { subject: 'a' } }] }, handler)
    expect((await rig.call('GET', '/services/shop')).body.version).toBe(version)
    const queue = 'shop/subscription:changing'
    const [routed, behind] = ['routed', 'behind'].map((name) => `${rig.redis.tagOf(queue)}:${name}`) as [string, string]
    const meta = '{reg}:meta'
    const [partition, registry] = await Promise.all([routed, meta].map(rig.redis.clientOf))
    // A change counts for what is not routed yet, and the two may be in logs of their own.
    const other = parseId(await rig.publish('changing.sent', 2, 'b'))
    await rig.publish('changing.sent', 1, 'a')
    await rig.until('changing', { succeeded: 1 })
    await eventually(async () => {
      // Its own place in that log while it has one, else the common one.
      const source = String(other?.partition)
      const own = await partition?.hget(behind, `${queue} ${source}`)
      const at = own?.split(' ')[0] ?? (await partition?.hget(routed, source))
      const [ms = 0, seq = 0] = at?.split('-').map(Number) ?? []
      return other !== undefined && (ms > other.ms || (ms === other.ms && seq >= other.seq))
    })
    await first.close()
    await start('changing', { types: ['changing.*'], filters: [{ sql: "subject = 'b'" }] }, handler)
    await eventually(async () => JSON.stringify((await shown('changing')).filters).includes('sql'))
    // The router matches by what its partition was told of last.
    const told = () => partition?.hget(routed, 'revision')
    await eventually(async () => (await told()) === (await registry?.hget(meta, 'revision')))
    await rig.publish('changing.sent', 3, 'a')
    await rig.publish('changing.sent', 4, 'b')
    await rig.until('changing', { succeeded: 2 })
    expect(seen).toEqual([1, 4])
  })

  it('keeps what comes while nobody is there, and begins where it is told', async () => {
    await rig.publish('early.sent', 0)
    const second = await rig.publish('early.sent', 1)
    const all: unknown[] = []
    const some: unknown[] = []
    const gone = await start('from-earliest', { types: ['early.*'], startFrom: 'earliest' }, () => undefined)
    await rig.until('from-earliest', { succeeded: 2 })
    await gone.close()
    await rig.publish('early.sent', 2)
    await start('from-earliest', { types: ['early.*'], startFrom: 'earliest' }, ({ data }) => void all.push(data))
    await start('from-event', { types: ['early.*'], startFrom: second }, ({ data }) => void some.push(data))
    await rig.until('from-earliest', { succeeded: 3 })
    await rig.until('from-event', { succeeded: 2 })
    expect(all).toEqual([2])
    expect(some.toSorted()).toEqual([1, 2])
  })

  it('takes what the manifest declares, and says when a filter stands in its way', async () => {
    const seen: unknown[] = []
    await start('declared', undefined, ({ data }) => void seen.push(data))
    await rig.publish('declared.sent', 7)
    await rig.until('declared', { succeeded: 1 })
    expect(seen).toEqual([7])
    const told: MillraceError[] = []
    const refused = start('declared', 'other.*', () => undefined, { onError: (error) => told.push(error) })
    await expect(refused).rejects.toMatchObject({ code: 'subscription.declared' })
    expect(told.map(({ message }) => message)).toEqual([expect.stringMatching(/leave the filter undefined/)])
  })

  it('refuses a filter that makes no sense with every mistake in it', async () => {
    const wrong = { types: ['a*'], filters: [{ sql: 'type =' }], batch: {} }
    const refused = start('wrong', wrong, () => undefined, { onError: () => undefined })
    await expect(refused).rejects.toMatchObject({
      code: 'sdk.invalid_input',
      message: expect.stringMatching(
        /\/types\/0 must be a type.*\/batch is not a known.*\/filters\/0\/sql .*position/s,
      ),
    })
    expect(() =>
      subscribe('wrong', 7 as unknown as string, () => undefined, { redis: rig.redis.url, namespace: 'shop' }),
    ).toThrow(/filter must be/)
    const slip = { types: ['a'], startFrom: 'evt_fffffffffff00000000' }
    await expect(start('slip', slip, () => undefined, { onError: () => undefined })).rejects.toMatchObject({
      code: 'sdk.invalid_input',
      message: expect.stringContaining('is the id of no event'),
    })
    expect(() => subscribe('', 'a', () => undefined, { redis: rig.redis.url, namespace: 'shop' })).toThrow(
      /^group must be a name/,
    )
  })

  it('waits for the service, and says so', async () => {
    const told: MillraceError[] = []
    const subscriber = subscribe('any', 'any.*', () => undefined, {
      ...{ redis: rig.redis.url, namespace: 'unborn', closeTimeoutMs: 0 },
      onError: (error) => told.push(error),
    })
    open.push(subscriber)
    await eventually(() => told.length > 0)
    expect(told[0]).toMatchObject({ code: 'sdk.queue_not_pulled', message: expect.stringMatching(/No service unborn/) })
    await rig.call('PUT', '/services/unborn', { manifest: { metadata: { name: 'unborn' } }, url: 'http://127.0.0.1:1' })
    await subscriber.ready
  })
})

describe('a handler of events', () => {
  it('acknowledges, asks for it later, rejects, and asks for more time', async () => {
    const starts: string[] = []
    const asked: number[] = []
    await start(
      'verbs',
      { types: ['verb.*'], retries: 2, retryDelayMs: 10, timeoutMs: 300, backoff: { jitter: 0 } },
      async ({ type }, job) => {
        starts.push(`${type} ${job.attempt}`)
        if (type === 'verb.nacked' && job.attempt === 1) {
          asked.push(Date.now())
          throw new RetryAfter(400)
        }
        if (type === 'verb.nacked') asked.push(Date.now())
        if (type === 'verb.rejected') throw new NoRetry('never')
        if (type === 'verb.extended') {
          job.extend(20_000)
          const { promise: worked, resolve } = Promise.withResolvers<void>()
          setTimeout(resolve, 900)
          await worked
        }
      },
    )
    for (const type of ['verb.acked', 'verb.nacked', 'verb.rejected', 'verb.extended']) await rig.publish(type, 1)
    await rig.until('verbs', { succeeded: 3, dead: 1, running: 0, scheduled: 0 })
    expect(starts.toSorted()).toEqual([
      ...['verb.acked 1', 'verb.extended 1', 'verb.nacked 1', 'verb.nacked 2', 'verb.rejected 1'],
    ])
    expect((asked[1] as number) - (asked[0] as number)).toBeGreaterThanOrEqual(395)
    const { body } = await rig.call('GET', '/dead-letters?namespace=shop&queue=subscription:verbs')
    expect(body.deadLetters).toEqual([
      expect.objectContaining({ reason: 'no_retry', data: expect.objectContaining({ type: 'verb.rejected' }) }),
    ])
  })

  it('is over when the time that it asked for is', async () => {
    const reasons: string[] = []
    await start(
      'short',
      { types: ['short.*'], retries: 0, timeoutMs: 60_000 },
      async (_event, job) => {
        job.extend(100)
        expect(() => job.extend(0)).toThrow(/extend takes milliseconds/)
        const { promise: aborted, resolve } = Promise.withResolvers<void>()
        job.signal.addEventListener('abort', () => resolve())
        await aborted
      },
      { onAttempt: ({ reason = '' }) => reasons.push(reason) },
    )
    await rig.publish('short.sent', 1)
    await rig.until('short', { dead: 1, running: 0 })
    expect(reasons).toEqual(['timeout'])
  })

  it('gets events of one key one after the other, and knows what was replayed', async () => {
    const byKey = new Map<string, number[]>()
    const replays: (string | undefined)[] = []
    let running = 0
    const handler: EventHandler = async ({ subject = '', data }, job) => {
      expect(++running).toBeLessThanOrEqual(3)
      if (job.attempt === 1 && (data as number) % 7 === 3) {
        running--
        throw new RetryAfter(5)
      }
      await new Promise((resolve) => setImmediate(resolve))
      byKey.set(subject, [...(byKey.get(subject) ?? []), data as number])
      replays.push(job.replay)
      running--
    }
    const fields = { types: ['ordered.*'], keyConcurrency: 1, concurrency: 50, retryDelayMs: 5 }
    await start('ordered', fields, handler)
    await start('ordered', fields, handler)
    for (let n = 0; n < 60; n++) await rig.publish('ordered.sent', n, `key/${n % 3}`)
    await rig.until('ordered', { succeeded: 60 })
    for (const [key, numbers] of byKey) expect(numbers, key).toEqual(numbers.toSorted((a, b) => a - b))
    expect([...byKey.values()].flat()).toHaveLength(60)
    expect(new Set(replays)).toEqual(new Set([undefined]))
    await rig.call('POST', '/subscriptions/shop.ordered/move', { to: 'earliest' })
    await rig.until('ordered', { succeeded: 120 })
    expect(replays.slice(60)).toEqual(Array.from({ length: 60 }, () => 'moved'))
  })
})
