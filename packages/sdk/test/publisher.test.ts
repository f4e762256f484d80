import { type Receiver, startReceiver } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createPublisher, type Publisher } from '../src/index.ts'

let dispatcher: Receiver
let publisher: Publisher
const answer = { id: 'evt_1', position: '0:5-0', namespace: 'billing', durability: 'fsync' }

beforeEach(async () => {
  dispatcher = await startReceiver()
  dispatcher.script('/events', { status: 202, body: answer })
  publisher = createPublisher({ url: `${dispatcher.url}/`, namespace: 'billing', requestTimeoutMs: 10_000 })
})
afterEach(() => dispatcher.stop())

const sent = () => dispatcher.requests('/events').map((request) => request.json() as Record<string, unknown>)

describe('publish', () => {
  it('sends a CloudEvent with what it needs filled in, and gives back where it is', async () => {
    expect(
      await publisher.publish({ type: 'invoice.paid', subject: 'inv_1', data: { cents: 1 }, tenant: 'a' }),
    ).toEqual({
      id: 'evt_1',
      position: '0:5-0',
      durability: 'fsync',
    })
    const [request] = dispatcher.requests('/events')
    expect([request?.url, request?.headers['content-type']]).toEqual([
      '/events?namespace=billing',
      'application/cloudevents+json',
    ])
    expect(sent()[0]).toEqual({
      specversion: '1.0',
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      source: '/billing',
      type: 'invoice.paid',
      subject: 'inv_1',
      tenant: 'a',
      time: expect.stringMatching(/^20.*Z$/),
      datacontenttype: 'application/json',
      data: { cents: 1 },
    })
  })

  it('sends what is given as it is, a CloudEvent of another package too', async () => {
    const given = { id: '7', source: '/own', type: 'a.b', datacontenttype: 'text/plain', data: 'x' }
    await publisher.publish({ ...given, time: new Date('2030-01-02T03:04:05.006Z') })
    await publisher.publish({ type: 'hidden', toJSON: () => ({ ...given, time: '2030-01-02T03:04:05.006Z' }) })
    const wanted = { specversion: '1.0', ...given, time: '2030-01-02T03:04:05.006Z' }
    expect(sent()).toEqual([wanted, wanted])
  })

  it('sends again what got no answer, as the same event', async () => {
    dispatcher.script(
      '/events',
      { status: 503 },
      { status: 503 },
      { status: 200, body: { ...answer, deduplicated: true } },
    )
    expect(await publisher.publish({ type: 'a.b' })).toMatchObject({ deduplicated: true })
    const ids = sent().map(({ id }) => id)
    expect([ids.length, new Set(ids).size]).toEqual([3, 1])
  })

  it('says at once what was refused, and what cannot be sent', async () => {
    const problem = { type: 'urn:x', title: 'No', status: 422, detail: 'no', code: 'event.schema_mismatch' }
    dispatcher.script('/events', { status: 422, body: problem })
    await expect(publisher.publish({ type: 'a.b' })).rejects.toMatchObject({
      code: 'event.schema_mismatch',
      status: 422,
    })
    expect(sent()).toHaveLength(1)
    await expect(publisher.publish({ type: 'a.b', data: 1n })).rejects.toMatchObject({ code: 'sdk.invalid_input' })
    const noTime = new Date(Number.NaN)
    await expect(publisher.publish({ type: 'a.b', time: noTime })).rejects.toMatchObject({ code: 'sdk.invalid_input' })
  })

  it('publishes many in one request, and takes no answer that leaves one out', async () => {
    const { durability: _one, ...first } = answer
    const events = [first, { ...first, id: 'evt_2' }]
    dispatcher.script('/events', { status: 202, body: { events, durability: 'everysec', replicas: 1 } })
    const published = await publisher.publishAll([{ type: 'a.b' }, { type: 'a.c', data: 2 }])
    expect(published.map(({ id }) => id)).toEqual(['evt_1', 'evt_2'])
    expect(published[1]).toMatchObject({ durability: 'everysec', replicas: 1 })
    const [request] = dispatcher.requests('/events')
    expect(request?.headers['content-type']).toBe('application/cloudevents-batch+json')
    expect(request?.json()).toEqual([
      expect.objectContaining({ type: 'a.b' }),
      expect.objectContaining({ type: 'a.c', data: 2 }),
    ])
    await expect(publisher.publishAll([{ type: 'a.b' }])).rejects.toMatchObject({ code: 'sdk.bad_answer' })
    expect(await publisher.publishAll([])).toEqual([])
  })
})
