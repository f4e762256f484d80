import type { Redrive } from '@millrace/contracts'
import { createPartitions, readLogRange, readRedrive } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type DispatcherProcess, startDispatcherProcess } from './dispatcher-process.ts'
import { applyTo, expectBalance, metricOf, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

const post = <Body = Redrive>(path: string, body: unknown = {}) => rig.client.call<Body>('POST', path, { body })
const redriveOf = async (id: string) => (await rig.client.call<Redrive>('GET', `/redrives/${id}`)).body
const until = (id: string, expected: Partial<Redrive>) =>
  eventually(
    async () => {
      const redrive = await redriveOf(id)
      expect(redrive).toMatchObject(expected)
      return redrive
    },
    { timeoutMs: 20_000, what: `the redrive to be ${JSON.stringify(expected)}` },
  )

/** A queue with so many dead letters; its endpoint works from here on, or as it is scripted next. */
async function bury(count: number, client = rig.client): Promise<{ namespace: string; path: string; ids: string[] }> {
  const namespace = await rig.service([{ name: 'mail', retries: 0 }])
  const path = pathOf(namespace, 'mail')
  rig.receiver.script(path, { status: 500 })
  const ids: string[] = []
  for (let n = 0; n < count; n++) ids.push(await client.enqueue(namespace, 'mail', { data: n }))
  await client.until(namespace, 'mail', { dead: count, running: 0 })
  rig.receiver.script(path, { status: 200 })
  return { namespace, path, ids }
}
const ask = (namespace: string, more: object, filter: object = {}) =>
  post('/dead-letters/redrive', { filter: { namespace, queue: 'mail', ...filter }, who: 'ada', why: 'mended', ...more })
const eventsOf = async (redriveId: string) => {
  const redis = rig.redis.client()
  const events = await readLogRange(createPartitions(redis, 1).of(''), { count: 100_000 })
  redis.disconnect()
  return events.filter(({ kind, data }) => kind === 'queue' && data.includes(`"redriveId":"${redriveId}"`))
}

describe('a canary redrive', () => {
  it('sends one, then ten, then the rest, each when those before have succeeded', async () => {
    const { namespace, path } = await bury(15)
    const before = rig.receiver.requests(path).length
    const gates = [1, 10].map(() => Promise.withResolvers<void>())
    const held = (gate: number, times: number) =>
      Array.from({ length: times }, () => () => (gates[gate] as PromiseWithResolvers<void>).promise.then(() => ({})))
    rig.receiver.script(path, ...held(0, 1), ...held(1, 10), {})
    const sent = () => rig.receiver.requests(path).length - before
    const { status, body } = await ask(namespace, { canary: {} })
    expect(status).toBe(202)
    expect(body).toMatchObject({ state: 'running', canary: { failureShare: 0.5, step: 'first' }, who: 'ada' })
    await until(body.id, { redriven: 1 })
    await eventually(() => sent() === 1)
    gates[0]?.resolve()
    const second = await until(body.id, { redriven: 11 })
    expect(second.canary).toMatchObject({ step: 'ten', taken: 10, died: 0 })
    await eventually(() => sent() === 6)
    gates[1]?.resolve()
    const done = await until(body.id, { state: 'finished', redriven: 15 })
    expect(done.canary).toMatchObject({ step: 'rest', waitingFor: [] })
    await rig.client.until(namespace, 'mail', { succeeded: 15, dead: 0 })
    expect((await eventsOf(body.id)).map(({ type }) => type)).toEqual(['redrive.started', 'redrive.finished'])
    expect(await metricOf(rig.client, 'millrace_dead_letters_redriven_total', { namespace })).toBe(15)
  })

  it('stops itself at the first when that one dies again', async () => {
    const { namespace, path } = await bury(5)
    rig.receiver.script(path, { status: 500 })
    const { body } = await ask(namespace, { canary: { failureShare: 0 } })
    const stopped = await until(body.id, { state: 'stopped', redriven: 1 })
    expect(stopped).toMatchObject({
      canary: { step: 'first', taken: 1, died: 1 },
      stopped: { who: 'millrace', why: 'the first job died again' },
    })
    await rig.client.until(namespace, 'mail', { dead: 5, succeeded: 0 })
    const [started, end] = await eventsOf(body.id)
    expect(JSON.parse(started?.data ?? '')).toMatchObject({ who: 'ada', why: 'mended', canary: { failureShare: 0 } })
    expect(end).toMatchObject({ type: 'redrive.stopped', namespace, queue: 'mail', entityId: 'queue/mail' })
    expect(JSON.parse(end?.data ?? '')).toMatchObject({ who: 'millrace', redriven: 1 })
  })

  it('stops itself at the ten when more than the share of them die again, and takes none of them twice', async () => {
    const { namespace, path } = await bury(20)
    const fails = Array.from({ length: 10 }, (_, n) => ({ status: n < 6 ? 500 : 200 }))
    rig.receiver.script(path, { status: 200 }, ...fails, { status: 200 })
    const { body } = await ask(namespace, { canary: { failureShare: 0.5 } })
    await until(body.id, { state: 'stopped', redriven: 11 })
    await rig.client.until(namespace, 'mail', { dead: 15, succeeded: 5, running: 0 })
  })
})

describe('a redrive with a rate', () => {
  it('takes its time, and what its filter and limit say', async () => {
    const { namespace, ids } = await bury(12)
    const startedAt = performance.now()
    const { body } = await ask(namespace, { ratePerSecond: 10, limit: 6 }, { ids: ids.slice(2) })
    await until(body.id, { state: 'finished', redriven: 6 })
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(490)
    await rig.client.until(namespace, 'mail', { succeeded: 6, dead: 6 })
    expect((await rig.client.deadLetters(namespace)).map(({ id }) => id)).toEqual([...ids.slice(0, 2), ...ids.slice(8)])
  })

  it('is stopped by hand, with who and why, and stays stopped', async () => {
    const { namespace } = await bury(3)
    const { body } = await ask(namespace, { ratePerSecond: 0.01 })
    await until(body.id, { redriven: 1 })
    const stopped = await post(`/redrives/${body.id}/stop`, { who: 'bob', why: 'wrong one' })
    expect(stopped.body).toMatchObject({ state: 'stopped', redriven: 1, stopped: { who: 'bob', why: 'wrong one' } })
    expect((await post(`/redrives/${body.id}/stop`)).body).toEqual(stopped.body)
    expect(JSON.parse((await eventsOf(body.id)).at(-1)?.data ?? '')).toMatchObject({ who: 'bob', why: 'wrong one' })
    await rig.client.until(namespace, 'mail', { succeeded: 1, dead: 2 })
  })
})

describe('a redrive with an id', () => {
  it('is done once, however often it is asked for', async () => {
    const { namespace, path } = await bury(3)
    rig.receiver.script(path, { status: 500 })
    const redriveId = `once-${namespace}`
    const answers = await Promise.all([1, 2, 3].map(() => ask(namespace, { redriveId })))
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 200, 202])
    await until(redriveId, { state: 'finished', redriven: 3 })
    await rig.client.until(namespace, 'mail', { dead: 3, running: 0, waiting: 0 })
    expect(await ask(namespace, { redriveId })).toMatchObject({
      status: 200,
      body: { id: redriveId, state: 'finished', redriven: 3, lookedAt: 3 },
    })
    expect(rig.receiver.requests(path)).toHaveLength(6)
    expect(await ask(namespace, { redriveId, limit: 1 })).toMatchObject({
      status: 409,
      body: { code: 'redrive.conflict' },
    })
  })

  it('of a queue without dead letters is over at once', async () => {
    const { namespace } = await bury(0)
    const { body } = await ask(namespace, { redriveId: `none-${namespace}` })
    await until(body.id, { state: 'finished', redriven: 0 })
  })

  it('is listed with the others of its namespace, the newest first', async () => {
    const { namespace } = await bury(0)
    const ids = [`a-${namespace}`, `b-${namespace}`, `c-${namespace}`]
    for (const redriveId of ids) {
      await ask(namespace, { redriveId })
      await until(redriveId, { state: 'finished' })
    }
    type Page = { redrives: Redrive[]; cursor?: string }
    const list = async (query: string) => (await rig.client.call<Page>('GET', `/redrives?namespace=${query}`)).body
    const first = await list(`${namespace}&limit=2`)
    const second = await list(`${namespace}&limit=2&cursor=${first.cursor}`)
    expect([...first.redrives, ...second.redrives].map(({ id }) => id)).toEqual(ids.toReversed())
    expect(second.cursor).toBeUndefined()
    expect(first.redrives[0]).not.toHaveProperty('upTo')
  })
})

describe('a redrive whose dispatcher is killed', () => {
  const started: DispatcherProcess[] = []
  afterEach(async () => {
    for (const { process } of started.splice(0)) await process.killGroup()
  })

  it('is gone on with by another, and no job is sent twice', async () => {
    // A Redis of their own, so that the dispatcher of the other tests cannot be the one that goes on.
    const other = await startRig()
    await other.dispatcher.stop()
    const start = async () => {
      const dispatcher = await startDispatcherProcess(other.redis.url)
      started.push(dispatcher)
      return dispatcher
    }
    const first = await start()
    await applyTo(first.client, 'shop', [{ name: 'mail', retries: 0 }], other.receiver.url)
    const path = pathOf('shop', 'mail')
    other.receiver.script(path, { status: 500 })
    for (let n = 0; n < 30; n++) await first.client.enqueue('shop', 'mail')
    await first.client.until('shop', 'mail', { dead: 30, running: 0 })
    other.receiver.script(path, { status: 200 })
    const body = { filter: { namespace: 'shop', queue: 'mail' }, ratePerSecond: 20, redriveId: 'r1' }
    await first.client.call('POST', '/dead-letters/redrive', { body })
    const state = async (client: typeof first.client) => (await client.call<Redrive>('GET', '/redrives/r1')).body
    await eventually(async () => (await state(first.client)).redriven >= 3)
    await first.process.kill()
    const partition = createPartitions(other.redis.client(), 1).of('')
    const left = JSON.parse((await readRedrive(partition, 'r1')) ?? '')
    expect(left).toMatchObject({ state: 'running' })
    expect(left.redriven).toBeLessThan(30)
    const second = await start()
    await eventually(async () => (await state(second.client)).state === 'finished', { timeoutMs: 15_000 })
    expect((await state(second.client)).redriven).toBe(30)
    await second.client.until('shop', 'mail', { succeeded: 30, dead: 0, running: 0 })
    const log = await readLogRange(partition, { count: 100_000 })
    expect(log.filter(({ type }) => type === 'job.redriven')).toHaveLength(30)
    await expectBalance(second.client)
    await second.process.stop()
    await other.receiver.stop()
    await other.redis.stop()
  })
})

describe('redrives refuse', () => {
  it.each<[string, object, string]>([
    ['a share of all', { canary: { failureShare: 1 } }, '/canary/failureShare'],
    ['an unknown field of the canary', { canary: { share: 0.5 } }, '/canary/share'],
    ['a rate of nothing', { ratePerSecond: 0 }, '/ratePerSecond'],
    ['an id with a blank', { redriveId: 'a b' }, '/redriveId'],
    ['a limit of nothing', { limit: 0 }, '/limit'],
    ['an unknown reason', { filter: { namespace: 'shop-1', queue: 'mail', reason: 'x' } }, '/filter/reason'],
    ['no queue', { filter: { namespace: 'shop-1' } }, '/filter/queue'],
  ])('%s', async (_what, body, pointer) => {
    const filter = { namespace: 'shop-1', queue: 'mail' }
    expect(await post('/dead-letters/redrive', { filter, ...body })).toMatchObject({
      status: 422,
      body: { code: 'request.invalid', errors: [{ pointer }] },
    })
  })

  it('ids and cursors that nobody gave out', async () => {
    expect(await rig.client.call('GET', '/redrives/none')).toMatchObject({
      status: 404,
      body: { code: 'redrive.unknown' },
    })
    expect(await post('/redrives/none/stop')).toMatchObject({ status: 404, body: { code: 'redrive.unknown' } })
    expect(await rig.client.call('GET', '/redrives?namespace=shop-1&cursor=x')).toMatchObject({ status: 422 })
    expect(await rig.client.call('GET', '/redrives?namespace=nobody')).toMatchObject({ status: 404 })
  })
})
