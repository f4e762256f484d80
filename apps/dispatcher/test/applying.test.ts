import { closeQueue, createPartitions } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { addressOf, applyTo, createClient, dispatcherOn, expectBalance, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
let other: Awaited<ReturnType<typeof dispatcherOn>>
beforeAll(async () => {
  rig = await startRig()
  other = await dispatcherOn(rig.redis.url)
})
afterAll(async () => {
  await other.dispatcher.stop()
  await rig.stop()
})
afterEach(() => expectBalance(rig.client))

const apply = (namespace: string, queues: { name: string; [field: string]: unknown }[]) =>
  applyTo(rig.client, namespace, queues, rig.receiver.url)

describe('applying', () => {
  it('says what it made of the manifest, and changes nothing when it is the same again', async () => {
    const queues = [{ name: 'mail' }, { name: 'print' }]
    const first = { namespace: 'same', result: 'created', version: 1, queues: ['mail', 'print'], closing: [] }
    expect(await apply('same', queues)).toMatchObject(first)
    expect(await apply('same', queues)).toMatchObject({ result: 'unchanged', version: 1 })
    expect(await applyTo(other.client, 'same', queues, rig.receiver.url)).toMatchObject({ result: 'unchanged' })
    expect(await apply('same', [{ name: 'mail', retries: 9 }])).toMatchObject({ result: 'changed', version: 2 })
  })

  it('at one dispatcher is known at the other', async () => {
    await apply('shared', [{ name: 'mail' }])
    await other.client.enqueue('shared', 'mail')
    await rig.client.until('shared', 'mail', { succeeded: 1 })
    expect((await other.client.call('GET', '/services/shared')).status).toBe(200)
  })

  it('changes the concurrency of a running queue, up and down', async () => {
    await apply('live', [{ name: 'mail', concurrency: 1 }])
    const gate = Promise.withResolvers<void>()
    rig.receiver.script(pathOf('live', 'mail'), () => gate.promise.then(() => ({})))
    for (let n = 0; n < 10; n++) await rig.client.enqueue('live', 'mail')
    await rig.client.until('live', 'mail', { running: 1, waiting: 9 })
    await apply('live', [{ name: 'mail', concurrency: 4 }])
    await rig.client.until('live', 'mail', { running: 4, waiting: 6, concurrency: 4 })
    await apply('live', [{ name: 'mail', concurrency: 2 }])
    gate.resolve()
    await rig.client.until('live', 'mail', { succeeded: 10 })
    expect(rig.receiver.maxInFlight(pathOf('live', 'mail'))).toBe(4)
  })

  it('moves a service to its new url', async () => {
    await applyTo(rig.client, 'moving', [{ name: 'mail' }], `${rig.receiver.url}/old`)
    await rig.client.enqueue('moving', 'mail')
    await rig.receiver.waitFor(`/old${pathOf('moving', 'mail')}`, 1)
    await applyTo(rig.client, 'moving', [{ name: 'mail' }], `${rig.receiver.url}/new`)
    await eventually(async () => {
      const { body } = await other.client.call<{ url: string }>('GET', '/services/moving')
      return body.url.endsWith('/new')
    })
    await rig.client.enqueue('moving', 'mail')
    await rig.receiver.waitFor(`/new${pathOf('moving', 'mail')}`, 1)
    await rig.client.until('moving', 'mail', { succeeded: 2 })
  })
})

describe('a queue that is no longer declared', () => {
  it('delivers what it has, refuses new jobs, and closes', async () => {
    await apply('fading', [{ name: 'mail', concurrency: 1 }, { name: 'print' }])
    const gate = Promise.withResolvers<void>()
    rig.receiver.script(pathOf('fading', 'mail'), () => gate.promise.then(() => ({})), { status: 500 }, {})
    const first = await rig.client.enqueue('fading', 'mail', { data: 1 })
    await rig.client.enqueue('fading', 'mail', { data: 2 })
    expect(await apply('fading', [{ name: 'print' }])).toMatchObject({ result: 'changed', closing: ['mail'] })

    const refused = await rig.client.call('POST', '/jobs', { body: { namespace: 'fading', queue: 'mail', data: 3 } })
    expect(refused).toMatchObject({ status: 409, body: { code: 'queue.closing' } })
    expect(await rig.client.counts('fading', 'mail')).toMatchObject({ closing: true, running: 1, waiting: 1 })
    gate.resolve()

    await eventually(async () => {
      const { body } = await rig.client.call<{ closing: unknown[] }>('GET', '/services/fading')
      return body.closing.length === 0
    })
    const delivered = rig.receiver.requests(pathOf('fading', 'mail'))
    expect(delivered.map((request) => request.headers['x-attempt']).sort()).toEqual(['1', '1', '2'])
    expect(delivered[0]?.headers['webhook-id']).toBe(first)
    const gone = await rig.client.call('POST', '/jobs', { body: { namespace: 'fading', queue: 'mail', data: 3 } })
    expect(gone).toMatchObject({ status: 404, body: { code: 'queue.unknown' } })
    await rig.client.enqueue('fading', 'print')
    await rig.client.until('fading', 'print', { succeeded: 1 })
  })

  it('is not opened again by a dispatcher that still listens for it, and opens when it is declared again', async () => {
    const address = addressOf('revived', 'mail')
    await apply('revived', [{ name: 'mail' }])
    await rig.client.enqueue('revived', 'mail')
    await rig.client.until('revived', 'mail', { succeeded: 1 })
    const closed = await apply('revived', [])
    const redis = rig.redis.client()
    await eventually(async () => (await redis.sismember('{p0}:queues', address)) === 0)
    await eventually(async () => {
      const both = await Promise.all(
        [rig.client, other.client].map((client) =>
          client.call<{ version: number; closing: unknown[] }>('GET', '/services/revived'),
        ),
      )
      return both.every(({ body }) => body.closing.length === 0)
    })
    // A wake-up makes every runner of the queue claim at once, as its sweep would a moment later.
    await redis.publish('{p0}:wake', address)
    await apply('witness', [{ name: 'mail' }])
    await rig.client.enqueue('witness', 'mail')
    await rig.client.until('witness', 'mail', { succeeded: 1 })
    expect(await redis.exists(`{p0}:q:${address}:normal`)).toBe(0)
    expect(await redis.sismember('{p0}:queues', address)).toBe(0)

    const again = await apply('revived', [{ name: 'mail' }])
    expect(again.version, 'closing is one version, whichever dispatcher saw it').toBe((closed.version as number) + 2)
    await other.client.enqueue('revived', 'mail')
    await rig.client.until('revived', 'mail', { accepted: 2, succeeded: 2 })
  })

  it('that somebody closed by mistake is opened again by the next job', async () => {
    const address = addressOf('mistaken', 'mail')
    await apply('mistaken', [{ name: 'mail' }])
    await rig.client.enqueue('mistaken', 'mail')
    await rig.client.until('mistaken', 'mail', { succeeded: 1 })
    // As a process does that has not heard that the queue is declared again.
    expect(await closeQueue(createPartitions(rig.redis.client(), 1).of(address), address)).toBe('closed')
    await rig.client.enqueue('mistaken', 'mail')
    await rig.client.until('mistaken', 'mail', { accepted: 2, succeeded: 2 })
  })

  it('keeps its dead letters, which are not put back where nobody delivers', async () => {
    await apply('buried', [{ name: 'mail', retries: 0 }])
    rig.receiver.script(pathOf('buried', 'mail'), { status: 500 }, {})
    const id = await rig.client.enqueue('buried', 'mail')
    await rig.client.until('buried', 'mail', { dead: 1 })
    await apply('buried', [])
    const redis = rig.redis.client()
    await eventually(async () => (await redis.sismember('{p0}:queues', addressOf('buried', 'mail'))) === 0)
    await eventually(async () => {
      const reply = await rig.client.call('POST', `/jobs/${id}/retry`, { body: {} })
      return reply.status === 409 && reply.body.code === 'queue.closing'
    })
    await apply('buried', [{ name: 'mail', retries: 0 }])
    expect(await rig.client.deadLetters('buried')).toMatchObject([{ id }])
    expect((await rig.client.call('POST', `/jobs/${id}/retry`, { body: {} })).status).toBe(202)
    await rig.client.until('buried', 'mail', { dead: 0, succeeded: 1 })
  })
})

describe('two dispatchers', () => {
  it('together never go beyond the concurrency, and together reach it', async () => {
    await apply('limited', [{ name: 'mail', concurrency: 7 }])
    const path = pathOf('limited', 'mail')
    // So long that seven are there together also where they arrive one by one.
    rig.receiver.script(path, { delayMs: 40 })
    const clients = [rig.client, other.client]
    await Promise.all(Array.from({ length: 100 }, (_, data) => clients[data % 2]?.enqueue('limited', 'mail', { data })))
    await rig.client.until('limited', 'mail', { succeeded: 100 })
    expect(rig.receiver.maxInFlight(path)).toBe(7)
    const ids = rig.receiver.requests(path).map((request) => request.headers['webhook-id'])
    expect(new Set(ids).size).toBe(100)
    expect(ids).toHaveLength(100)
  })

  it('both stop claiming when they leave, and what they accepted stays', async () => {
    const { dispatcher, client } = await dispatcherOn(rig.redis.url)
    await apply('leaving', [{ name: 'mail' }])
    await client.enqueue('leaving', 'mail')
    await dispatcher.stop()
    await expect(client.enqueue('leaving', 'mail')).rejects.toThrow()
    await createClient(rig.client.url).until('leaving', 'mail', { succeeded: 1 })
  })
})
