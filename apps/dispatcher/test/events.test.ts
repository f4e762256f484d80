import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataAt, eventsPath, type PublishedBody, publish, subscribeTo } from './event-fixture.ts'
import { expectBalance, manifestOf, metricOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ env: { MILLRACE_DRAIN_MS: '500' } })
})
afterAll(() => rig.stop())

const STRUCTURED = { 'content-type': 'application/cloudevents+json' }
const send = (text: string | Buffer, headers: Record<string, string> = STRUCTURED, query = '') =>
  rig.client.call<PublishedBody>('POST', `/events${query}`, { text, headers })

describe('an event that is published', () => {
  it('arrives as a CloudEvent in structured mode, byte for byte', async () => {
    const path = eventsPath('bytes', 'all')
    await subscribeTo(rig.client, 'bytes', {
      subscriptions: [{ name: 'all', types: ['bytes.*'] }],
      url: rig.receiver.url,
    })
    const text =
      '{ "type":"bytes.sent", "id":"b-1","source":"/x","specversion":"1.0", "data":{"cents":12345678901234567890,"n":1.0} }'
    const { status, body } = await send(text)
    expect([status, body]).toEqual([
      202,
      {
        id: expect.stringMatching(/^evt_[0-9a-f]{19}$/),
        position: expect.stringMatching(/^0:\d+-\d+$/),
        namespace: 'default',
        durability: 'memory',
      },
    ])
    const [request] = await rig.receiver.waitFor(path, 1)
    expect(request?.body).toBe(text)
    expect(request?.headers).toMatchObject({
      'content-type': 'application/cloudevents+json',
      'webhook-id': expect.stringMatching(/^job_/),
      'x-subscription': 'all',
      'x-attempt': '1',
      'x-max-attempts': '4',
    })
    expect(request?.headers['x-replay']).toBeUndefined()
  })

  it('is one event when it comes again with the same source and id', async () => {
    const text = JSON.stringify({ specversion: '1.0', id: 'twice', source: '/x', type: 'twice.sent' })
    const first = await send(text)
    const again = await send(text)
    expect([first.status, again.status]).toEqual([202, 200])
    expect(again.body).toEqual({ ...first.body, deduplicated: true })
    const other = await send(text.replace('/x', '/y'))
    expect(other.body.id).not.toBe(first.body.id)
  })

  it('is filled in when it is plain', async () => {
    const path = eventsPath('plain', 'all')
    await subscribeTo(rig.client, 'plain', {
      subscriptions: [{ name: 'all', types: ['plain.sent'] }],
      url: rig.receiver.url,
    })
    await publish(rig.client, 'plain.sent', { namespace: 'plain', data: { a: 1 }, subject: 's/1' })
    const [request] = await rig.receiver.waitFor(path, 1)
    expect(request?.json()).toEqual({
      specversion: '1.0',
      id: expect.any(String),
      source: '/plain',
      type: 'plain.sent',
      subject: 's/1',
      time: expect.stringMatching(/Z$/),
      datacontenttype: 'application/json',
      data: { a: 1 },
    })
  })

  it('may come in a batch, or in binary mode', async () => {
    const path = eventsPath('modes', 'all')
    await subscribeTo(rig.client, 'modes', {
      subscriptions: [{ name: 'all', types: ['modes.*'], keyConcurrency: 1 }],
      url: rig.receiver.url,
    })
    const one = (id: string, data: unknown) => ({
      specversion: '1.0',
      id,
      source: '/m',
      type: 'modes.sent',
      subject: 'k',
      data,
    })
    const batch = await rig.client.call<{ events: PublishedBody[] }>('POST', '/events', {
      text: JSON.stringify([one('m-1', 1), one('m-2', 2)]),
      headers: { 'content-type': 'application/cloudevents-batch+json' },
    })
    expect([batch.status, batch.body.events.length]).toEqual([202, 2])
    const binary = await send(Buffer.from('héllo'), {
      'content-type': 'text/plain',
      'ce-specversion': '1.0',
      'ce-id': 'm-3',
      'ce-source': '/m',
      'ce-type': 'modes.sent',
      'ce-subject': 'k',
      'ce-note': 'Euro%20%E2%82%AC',
    })
    expect(binary.status, JSON.stringify(binary.body)).toBe(202)
    const requests = await rig.receiver.waitFor(path, 3)
    expect(dataAt(rig.receiver, path)).toEqual([1, 2, 'héllo'])
    expect(requests[2]?.json()).toMatchObject({ note: 'Euro €', datacontenttype: 'text/plain' })
  })

  it.each([
    ['no event at all', '{}', { 'content-type': 'application/json' }, 422, '/type'],
    ['a field that is unknown', '{"type":"a","subjekt":"b"}', { 'content-type': 'application/json' }, 422, '/subjekt'],
    ["the platform's own type", '{"type":"job.dead_lettered"}', { 'content-type': 'application/json' }, 422, '/type'],
    ['a broken text', '{', STRUCTURED, 400, undefined],
    ['an event without id', '{"specversion":"1.0","source":"/a","type":"b"}', STRUCTURED, 422, '/id'],
    ['a media type that is none of them', 'hello', { 'content-type': 'text/plain' }, 415, undefined],
    ['bytes that are not UTF-8', Buffer.from([0x7b, 0xff, 0x7d]), STRUCTURED, 400, undefined],
  ])('is refused when it is %s', async (_what, text, headers, status, pointer) => {
    const answer = await rig.client.call('POST', '/events', { text: text as string, headers })
    expect(answer.status).toBe(status)
    expect(answer.body.errors?.[0]?.pointer).toBe(pointer)
    expect(answer.headers.get('content-type')).toContain('application/problem+json')
  })

  it('is refused when it is too large', async () => {
    const { status, body } = await rig.client.call('POST', '/events', {
      body: { type: 'a', data: 'x'.repeat(262_200) },
    })
    expect([status, body.code]).toEqual([413, 'request.too_large'])
  })

  it('must fit the schema that its service declares, or is warned of', async () => {
    const schema = { type: 'object', required: ['cents'], properties: { cents: { type: 'integer' } } }
    await subscribeTo(rig.client, 'typed', {
      subscriptions: [],
      url: rig.receiver.url,
      spec: {
        events: [
          { type: 'typed.strict', schema },
          { type: 'typed.loose', schema, onMismatch: 'warn' },
        ],
      },
    })
    const bad = await rig.client.call('POST', '/events', { body: { type: 'typed.strict', data: { cents: '1' } } })
    expect([bad.status, bad.body.code, bad.body.errors?.[0]?.pointer]).toEqual([
      422,
      'event.schema_mismatch',
      '/data/cents',
    ])
    expect(await publish(rig.client, 'typed.strict', { data: { cents: 1 } })).toMatchObject({ namespace: 'typed' })
    expect(await publish(rig.client, 'typed.loose', { data: {} })).toMatchObject({
      namespace: 'typed',
      warnings: [{ pointer: '/data', detail: expect.stringContaining('cents') }],
    })
    expect(
      await metricOf(rig.client, 'millrace_events_published_total', { namespace: 'typed', result: 'warned' }),
    ).toBe(1)
  })
})

describe('subscriptions', () => {
  it('get what they ask for, each on its own', async () => {
    const subscriptions = [
      { name: 'paid', types: ['buy.paid'] },
      { name: 'all', types: ['buy.*'] },
      { name: 'from-a', types: ['buy.*'], source: '/a' },
      { name: 'large', types: ['buy.*'], filters: [{ sql: "size > 10 AND subject LIKE 'o/%'" }] },
      { name: 'not-paid', types: ['buy.*'], filters: [{ not: { exact: { type: 'buy.paid' } } }] },
    ]
    await subscribeTo(rig.client, 'buyer', { subscriptions, url: rig.receiver.url })
    const text = (id: string, more: Record<string, unknown>) =>
      JSON.stringify({ specversion: '1.0', id, source: '/b', type: 'buy.paid', data: id, ...more })
    await send(text('1', {}))
    await send(text('2', { source: '/a', type: 'buy.sent' }))
    await send(text('3', { size: 11, subject: 'o/1' }))
    await send(text('4', { size: 9, subject: 'o/1', type: 'other.paid' }))
    for (const [name, count] of [
      ['paid', 2],
      ['all', 3],
      ['from-a', 1],
      ['large', 1],
      ['not-paid', 1],
    ] as const)
      await rig.receiver.waitFor(eventsPath('buyer', name), count)
    const got = Object.fromEntries(
      subscriptions.map(({ name }) => [name, dataAt(rig.receiver, eventsPath('buyer', name)).toSorted()]),
    )
    expect(got).toEqual({ paid: ['1', '3'], all: ['1', '2', '3'], 'from-a': ['2'], large: ['3'], 'not-paid': ['2'] })
    await expectBalance(rig.client)
  })

  it('begin where they say: now, at the earliest, at a time, at an event', async () => {
    const first = await publish(rig.client, 'begin.sent', { data: 1 })
    const second = await publish(rig.client, 'begin.sent', { data: 2 })
    const time = new Date(parseInt(first.id.slice(4, 15), 16)).toISOString()
    const subscriptions = [
      { name: 'now' },
      { name: 'earliest', startFrom: 'earliest' },
      { name: 'time', startFrom: time },
      { name: 'id', startFrom: second.id },
    ].map((each) => ({ ...each, types: ['begin.sent'], keyConcurrency: 1 }))
    await subscribeTo(rig.client, 'begin', { subscriptions, url: rig.receiver.url })
    await publish(rig.client, 'begin.sent', { data: 3 })
    const at = (name: string) => dataAt(rig.receiver, eventsPath('begin', name))
    await eventually(() => {
      expect(at('now')).toEqual([3])
      expect(at('earliest')).toEqual([1, 2, 3])
      expect(at('time')).toEqual([1, 2, 3])
      expect(at('id')).toEqual([2, 3])
      return true
    })
  })

  it('end with what is in their queue, and begin anew under the same name', async () => {
    const path = eventsPath('ending', 'mail')
    const mail = { name: 'mail', types: ['ending.sent'] }
    await subscribeTo(rig.client, 'ending', {
      subscriptions: [mail, { name: 'other', types: ['x'] }],
      url: rig.receiver.url,
    })
    await publish(rig.client, 'ending.sent', { data: 1 })
    await rig.receiver.waitFor(path, 1)
    await subscribeTo(rig.client, 'ending', { subscriptions: [{ name: 'other', types: ['x'] }], url: rig.receiver.url })
    // Nothing to wait for: once a removal is answered, every partition was told.
    await publish(rig.client, 'ending.sent', { data: 2 })
    await subscribeTo(rig.client, 'ending', { subscriptions: [mail], url: rig.receiver.url })
    await publish(rig.client, 'ending.sent', { data: 3 })
    await rig.receiver.waitFor(path, 2)
    expect(dataAt(rig.receiver, path)).toEqual([1, 3])
  })

  it('keep the order of a key, and do not wait for each other', async () => {
    const [slow, quick] = [eventsPath('order', 'slow'), eventsPath('order', 'quick')]
    rig.receiver.script(slow, { kind: 'hang' })
    const types = ['order.step']
    await subscribeTo(rig.client, 'order', {
      subscriptions: [
        { name: 'slow', types, concurrency: 1 },
        { name: 'quick', types, keyConcurrency: 1, concurrency: 10 },
      ],
      url: rig.receiver.url,
    })
    for (let step = 0; step < 20; step++) {
      for (const subject of ['a', 'b']) await publish(rig.client, 'order.step', { subject, data: `${subject}${step}` })
    }
    await rig.receiver.waitFor(quick, 40)
    const data = dataAt(rig.receiver, quick) as string[]
    for (const subject of ['a', 'b']) {
      const mine = data.filter((text) => text.startsWith(subject))
      expect(mine).toEqual(Array.from({ length: 20 }, (_, step) => `${subject}${step}`))
    }
    expect(rig.receiver.requests(slow)).toHaveLength(1)
    rig.receiver.script(slow, {})
  })

  it('retry and bury as queues do, and can be paused', async () => {
    const path = eventsPath('dying', 'mail')
    rig.receiver.script(path, { status: 500 })
    await subscribeTo(rig.client, 'dying', {
      subscriptions: [{ name: 'mail', types: ['dying.sent'], retries: 1 }],
      url: rig.receiver.url,
    })
    await publish(rig.client, 'dying.sent', { data: 1 })
    await rig.client.until('dying', 'subscription:mail', { dead: 1 })
    const [letter] = await rig.client.deadLetters('dying')
    expect(letter).toMatchObject({ queue: 'subscription:mail', attempts: 2 })
    const paused = await rig.client.call<{ result: string }>('POST', '/queues/dying/subscription:mail/pause', {
      body: {},
    })
    expect(paused.body.result).toBe('paused')
    await publish(rig.client, 'dying.sent', { data: 2 })
    await rig.client.until('dying', 'subscription:mail', { waiting: 1, running: 0 })
  })
})

it('leaves queues alone that a manifest had before', async () => {
  const manifest = manifestOf('mixed', [{ name: 'work' }])
  expect((await rig.client.call('PUT', '/services/mixed', { body: { manifest, url: rig.receiver.url } })).status).toBe(
    200,
  )
  await rig.client.enqueue('mixed', 'work')
  await rig.client.until('mixed', 'work', { succeeded: 1 })
})
