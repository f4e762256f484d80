import { parseId, type Replay } from '@millrace/contracts'
import { createPartitions, readLogRange } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataAt, eventsPath, publish, subscribeTo } from './event-fixture.ts'
import { type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const post = <Body>(path: string, body: unknown) => rig.client.call<Body>('POST', path, { body })

/** A subscription that has had five events, and what these were. */
async function withEvents(namespace: string) {
  const type = `${namespace}.sent`
  const path = eventsPath(namespace, 'mail')
  await subscribeTo(rig.client, namespace, {
    subscriptions: [{ name: 'mail', types: [type], keyConcurrency: 1 }],
    url: rig.receiver.url,
  })
  const events = []
  for (const data of [0, 1, 2, 3, 4]) events.push(await publish(rig.client, type, { data, subject: 'one' }))
  await rig.receiver.waitFor(path, 5)
  return { type, path, events }
}

const noted = async (type: string, namespace: string) => {
  const client = rig.redis.client()
  const events = await readLogRange(createPartitions(client, 1).of(''), { count: 100_000 })
  client.disconnect()
  return events
    .filter((event) => event.type === type && event.namespace === namespace)
    .map(({ data }) => JSON.parse(data))
}

describe('a subscription that is moved', () => {
  it('gets everything from there again, marked up to where it was', async () => {
    const { type, path, events } = await withEvents('moved')
    const moved = await post('/subscriptions/moved.mail/move', { to: events[3]?.id, who: 'ann', why: 'a bug' })
    expect([moved.status, moved.body]).toEqual([200, { id: 'moved.mail', to: events[3]?.id }])
    await rig.receiver.waitFor(path, 7)
    await publish(rig.client, type, { data: 5, subject: 'one' })
    const requests = await rig.receiver.waitFor(path, 8)
    expect(dataAt(rig.receiver, path)).toEqual([0, 1, 2, 3, 4, 3, 4, 5])
    expect(requests.map(({ headers }) => headers['x-replay'])).toEqual([
      ...Array.from({ length: 5 }, () => undefined),
      'moved',
      'moved',
      undefined,
    ])
    expect(await noted('subscription.moved', 'moved')).toEqual([{ who: 'ann', why: 'a bug', to: events[3]?.id }])
  })

  it('gets everything from a time on again', async () => {
    const { path, events } = await withEvents('timed')
    const published = events.map(({ id }) => parseId(id)?.ms as number)
    const from = published[2] as number
    // Events of one millisecond have one time.
    const again = [0, 1, 2, 3, 4].filter((index) => (published[index] as number) >= from)
    await post('/subscriptions/timed.mail/move', { to: new Date(from).toISOString() })
    await rig.receiver.waitFor(path, 5 + again.length)
    expect(dataAt(rig.receiver, path).slice(5)).toEqual(again)
  })

  it('leaves out what lies between when it is moved ahead', async () => {
    const { type, path } = await withEvents('ahead')
    await post('/queues/ahead/subscription:mail/pause', {})
    await publish(rig.client, type, { data: 'waits', subject: 'one' })
    await rig.client.until('ahead', 'subscription:mail', { waiting: 1 })
    await post('/subscriptions/ahead.mail/move', { to: 'now' })
    await post('/queues/ahead/subscription:mail/resume', {})
    await publish(rig.client, type, { data: 'next', subject: 'one' })
    await rig.receiver.waitFor(path, 7)
    expect(dataAt(rig.receiver, path).slice(5)).toEqual(['waits', 'next'])
  })
})

describe('a replay', () => {
  it('counts first, then brings a range again, marked with its id, at its rate', async () => {
    const { path, events } = await withEvents('again')
    const range = { from: events[1]?.id, to: events[4]?.id, ratePerSecond: 1000 }
    const count = await post<{ matching: number }>('/subscriptions/again.mail/replay', { ...range, dryRun: true })
    expect([count.status, count.body.matching]).toEqual([200, 3])
    const started = await post<Replay>('/subscriptions/again.mail/replay', { ...range, who: 'ann' })
    expect([started.status, started.body]).toEqual([202, expect.objectContaining({ state: 'running', replayed: 0 })])
    const requests = await rig.receiver.waitFor(path, 8)
    expect(dataAt(rig.receiver, path).slice(5)).toEqual([1, 2, 3])
    expect(requests.slice(5).map(({ headers }) => headers['x-replay'])).toEqual(Array(3).fill(started.body.id))
    const ended = await eventually(async () => {
      const { body } = await rig.client.call<{ replays: Replay[] }>('GET', '/subscriptions/again.mail/replays')
      expect(body.replays[0]?.state).toBe('finished')
      return body.replays[0]
    })
    expect(ended).toMatchObject({ id: started.body.id, replayed: 3, subscription: 'again.mail' })
    expect(await noted('replay.started', 'again')).toMatchObject([{ who: 'ann', replayId: started.body.id }])
    expect(await noted('replay.finished', 'again')).toMatchObject([{ replayed: 3 }])
  })

  it('brings what was published before it was made into a new subscription, no faster than its rate', async () => {
    const { type, events } = await withEvents('older')
    const path = eventsPath('newer', 'mail')
    const subscriptions = [{ name: 'mail', types: [type], keyConcurrency: 1 }]
    await subscribeTo(rig.client, 'newer', { subscriptions, url: rig.receiver.url })
    const range = { from: events[0]?.id, ratePerSecond: 10 }
    const startedAt = performance.now()
    const { body } = await post<Replay>('/subscriptions/newer.mail/replay', range)
    const requests = await rig.receiver.waitFor(path, 5)
    // The first may go at once, each of the others a tenth of a second after the one before.
    expect(performance.now() - startedAt).toBeGreaterThan(400)
    expect(dataAt(rig.receiver, path)).toEqual([0, 1, 2, 3, 4])
    expect(new Set(requests.map(({ headers }) => headers['x-replay']))).toEqual(new Set([body.id]))
  })

  it('can be stopped', async () => {
    await withEvents('stopped')
    const { body } = await post<Replay>('/subscriptions/stopped.mail/replay', { from: 'earliest', ratePerSecond: 0.1 })
    const stopped = await post<Replay>(`/replays/${body.id}/stop`, { who: 'ann' })
    expect(stopped.body).toMatchObject({ id: body.id, state: 'stopped' })
    expect(await noted('replay.stopped', 'stopped')).toMatchObject([{ who: 'ann' }])
  })

  it('is refused for what there is not', async () => {
    const refused = async (path: string, body: unknown) => {
      const { status, body: problem } = await post<{ code: string }>(path, body)
      return [status, problem.code]
    }
    expect(await refused('/subscriptions/no.such/replay', { from: 'earliest' })).toEqual([404, 'subscription.unknown'])
    expect(await refused('/subscriptions/no.such/move', { to: 'now' })).toEqual([404, 'subscription.unknown'])
    expect(await refused('/subscriptions/again.mail/move', { to: 'then' })).toEqual([422, 'request.invalid'])
    expect(await refused('/subscriptions/again.mail/replay', { from: 'now' })).toEqual([422, 'request.invalid'])
    expect(await refused('/replays/none/stop', {})).toEqual([404, 'replay.unknown'])
    // A slip in an id would pass over everything until the time that its digits say.
    const slip = 'evt_fffffffffff00000000'
    expect(await refused('/subscriptions/again.mail/move', { to: slip })).toEqual([422, 'request.invalid'])
    expect(await refused('/subscriptions/again.mail/replay', { from: slip })).toEqual([422, 'request.invalid'])
    expect(await refused('/subscriptions/again.mail/replay', { from: 'earliest', to: slip })).toEqual([
      422,
      'request.invalid',
    ])
  })
})
