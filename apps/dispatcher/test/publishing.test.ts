import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataAt, eventsPath, type PublishedBody, publish, subscribeTo } from './event-fixture.ts'
import { metricOf, type Rig, startRig } from './fixture.ts'

/** Queues that have series of their own here; more than the tests before the last one declare. */
const NAMES = 20

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ env: { MILLRACE_DRAIN_MS: '500', MILLRACE_METRICS_NAMES: String(NAMES) } })
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
        replicas: 0,
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
    ['a time that is none', '{"type":"a","time":"today"}', { 'content-type': 'application/json' }, 422, '/time'],
    [
      'an order without a key',
      '{"specversion":"1.0","id":"1","source":"/a","type":"b","partitionkey":""}',
      STRUCTURED,
      422,
      '/partitionkey',
    ],
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

  it('is refused when body and address say different namespaces', async () => {
    const body = { type: 'a', namespace: 'plain' }
    const { status, body: problem } = await rig.client.call('POST', '/events?namespace=modes', { body })
    expect([status, problem.errors?.[0]?.pointer]).toEqual([422, '/namespace'])
    expect((await rig.client.call('POST', '/events?namespace=plain', { body })).body).toMatchObject({
      namespace: 'plain',
    })
  })

  it('is refused when it is too large', async () => {
    const { status, body } = await rig.client.call('POST', '/events', {
      body: { type: 'a', data: 'x'.repeat(262_200) },
    })
    expect([status, body.code]).toEqual([413, 'request.too_large'])
  })

  it('holds nobody up whatever the pattern of its schema, which is refused where that cannot be promised', async () => {
    const patterned = (pattern: string) => ({
      subscriptions: [],
      url: rig.receiver.url,
      spec: { events: [{ type: 'patterned.said', schema: { type: 'string', pattern } }] },
    })
    await subscribeTo(rig.client, 'patterned', patterned('(a+)+$'))
    const bad = await rig.client.call('POST', '/events', {
      body: { type: 'patterned.said', data: `${'a'.repeat(20_000)}!` },
    })
    expect([bad.status, bad.body.code, bad.body.errors?.[0]?.pointer]).toEqual([422, 'event.schema_mismatch', '/data'])
    const manifest = { metadata: { name: 'patterned' }, spec: patterned('^(?=a)').spec }
    const refused = await rig.client.call('PUT', '/services/patterned', { body: { manifest, url: rig.receiver.url } })
    expect([refused.status, refused.body.errors?.[0]]).toMatchObject([
      422,
      { pointer: '/spec/events/0/schema', detail: expect.stringContaining('linear time') },
    ])
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
    const { body: told } = await rig.client.call<{ events: unknown[] }>('GET', '/events?types=typed.strict')
    expect(told.events).toMatchObject([{ source: '/typed' }])
    const strict = { specversion: '1.0', id: 'bytes', source: '/typed', type: 'typed.strict' }
    const bytes = await rig.client.call('POST', '/events', {
      text: JSON.stringify({ ...strict, data_base64: 'AAAA' }),
      headers: STRUCTURED,
    })
    expect([bytes.status, bytes.body.errors?.[0]?.pointer]).toEqual([422, '/data_base64'])
    const batch = [
      { ...strict, data: { cents: 2 } },
      { ...strict, id: 'second', data: {} },
    ]
    const half = await rig.client.call('POST', '/events', {
      text: JSON.stringify(batch),
      headers: { 'content-type': 'application/cloudevents-batch+json' },
    })
    expect([half.status, half.body.errors?.[0]?.pointer]).toEqual([422, '/1/data'])
    const alone = await rig.client.call('POST', '/events', {
      text: JSON.stringify(batch.slice(1)),
      headers: { 'content-type': 'application/cloudevents-batch+json' },
    })
    expect([alone.status, alone.body.errors?.[0]?.pointer]).toEqual([422, '/0/data'])
    expect(await publish(rig.client, 'typed.loose', { data: {} })).toMatchObject({
      namespace: 'typed',
      warnings: [{ pointer: '/data', detail: expect.stringContaining('cents') }],
    })
    expect(
      await metricOf(rig.client, 'millrace_events_published_total', { namespace: 'typed', result: 'warned' }),
    ).toBe(1)
  })
})

it('is counted under its service, or together with all that belong to none', async () => {
  for (const namespace of ['made-up-1', 'made-up-2']) await publish(rig.client, 'counted.sent', { namespace })
  const refused = await rig.client.call('POST', '/events?namespace=made-up-3', { text: '{}', headers: STRUCTURED })
  expect(refused.status).toBe(422)
  const metrics = await (await fetch(`${rig.client.url}/metrics`)).text()
  expect(metrics).toMatch(/millrace_events_published_total\{namespace="_other",result="appended"[^}]*\} 2/)
  expect(metrics).toMatch(/millrace_events_published_total\{namespace="_other",result="refused"[^}]*\} [1-9]/)
  expect(metrics).not.toContain('made-up')
})

it('leads from the time that publishing took to the trace of an event', async () => {
  const traceId = 'a1b2c3d4e5f60718293a4b5c6d7e8f90'
  const headers = { traceparent: `00-${traceId}-00f067aa0ba902b7-01` }
  // In a bucket that had no trace since the figures were read last; nobody else reads them here.
  await fetch(`${rig.client.url}/metrics`, { headers: { accept: 'application/openmetrics-text' } })
  await rig.client.call('POST', '/events', { body: { type: 'traced.sent', data: 1 }, headers })
  const answer = await fetch(`${rig.client.url}/metrics`, { headers: { accept: 'application/openmetrics-text' } })
  const buckets = (await answer.text()).split('\n').filter((line) => line.startsWith('millrace_event_publish_duration'))
  expect(buckets.filter((line) => line.includes(`trace_id="${traceId}"`))).toHaveLength(1)
})

it('makes no more series than MILLRACE_METRICS_NAMES allows, however many services and queues there are', async () => {
  const count = async () => {
    const metrics = await (await fetch(`${rig.client.url}/metrics`)).text()
    const labelled = metrics.split('\n').filter((line) => /^millrace_queue_jobs\{/.test(line))
    return labelled.filter((line) => line.includes('state="waiting"')).length
  }
  await expect.poll(count, { timeout: 60_000 }).toBeGreaterThan(2)
  const names = Array.from({ length: 30 }, (_, n) => ({ name: `many-${n}` }))
  await subscribeTo(rig.client, 'many', { subscriptions: names, url: rig.receiver.url })
  const queues = (await rig.client.call<{ queues: unknown[] }>('GET', '/queues?namespace=many')).body.queues
  expect(queues).toHaveLength(30)
  await publish(rig.client, 'counted.sent', { namespace: 'many' })
  const collected = async () =>
    (await metricOf(rig.client, 'millrace_queue_jobs', { namespace: '_other', state: 'waiting' })) !== undefined
  await expect.poll(collected, { timeout: 60_000 }).toBe(true)
  expect(await count()).toBe(NAMES + 1)
})
