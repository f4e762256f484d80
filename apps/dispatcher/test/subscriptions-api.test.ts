import type { SubscriptionView } from '@millrace/contracts'
import { BY, eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataAt, eventsPath, publish, subscribeTo } from './event-fixture.ts'
import { type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
  await subscribeTo(rig.client, 'shop', {
    subscriptions: [{ name: 'declared', types: ['a.*'] }],
    url: rig.receiver.url,
  })
})
afterAll(() => rig.stop())

const call = <Body = SubscriptionView>(method: string, path: string, body?: unknown) =>
  rig.client.call<Body>(method, path, { body })
/** A queue that closes is a change of its service when it is closed, some time after the change that let go of it. */
const untilNothingCloses = () =>
  eventually(async () => {
    const { body } = await call<{ closing: unknown[] }>('GET', '/services/shop')
    return body.closing.length === 0
  })
const request = (name: string, more: Record<string, unknown> = {}, config: Record<string, unknown> = {}) => ({
  types: ['api.*'],
  sink: `${rig.receiver.url}/hooks/${name}?key=1`,
  config: { namespace: 'shop', name, ...config },
  ...more,
})

describe('the Subscriptions API', () => {
  it('makes, shows, changes and ends a subscription, and leaves those of the manifest to it', async () => {
    const made = await call('POST', '/subscriptions', request('hook', { filters: [{ exact: { subject: 's' } }] }))
    expect([made.status, made.headers.get('location')]).toEqual([201, '/subscriptions/shop.hook'])
    expect(made.body).toMatchObject({
      id: 'shop.hook',
      types: ['api.*'],
      filters: [{ exact: { subject: 's' } }],
      protocol: 'HTTP',
      sink: `${rig.receiver.url}/hooks/hook?key=1`,
      config: { namespace: 'shop', name: 'hook', retries: 9, startFrom: 'now', madeBy: 'api' },
    })
    expect((await call('GET', '/subscriptions/shop.hook')).body).toEqual(made.body)
    const all = await call<SubscriptionView[]>('GET', '/subscriptions?namespace=shop')
    expect(all.body.map(({ id, config, sink }) => [id, config.madeBy, sink])).toEqual([
      ['shop.declared', 'manifest', `${rig.receiver.url}${eventsPath('shop', 'declared')}`],
      ['shop.hook', 'api', made.body.sink],
    ])

    await publish(rig.client, 'api.sent', { subject: 't', data: 2 })
    await publish(rig.client, 'api.sent', { subject: 's', data: 1 })
    // A change counts for what is not routed yet: the first is behind us when the second has come.
    await rig.receiver.waitFor('/hooks/hook', 1)
    const changed = await call('PUT', '/subscriptions/shop.hook', request('hook', { filters: [] }, { retries: 1 }))
    expect([changed.status, changed.body.filters, changed.body.config.retries]).toEqual([200, undefined, 1])
    await publish(rig.client, 'api.sent', { subject: 't', data: 3 })
    await rig.receiver.waitFor('/hooks/hook', 2)
    expect(dataAt(rig.receiver, '/hooks/hook').toSorted()).toEqual([1, 3])
    expect(rig.receiver.requests('/hooks/hook')[0]?.url).toBe('/hooks/hook?key=1')

    await subscribeTo(rig.client, 'shop', {
      subscriptions: [{ name: 'declared', types: ['b.*'] }],
      url: rig.receiver.url,
    })
    expect((await call('GET', '/subscriptions/shop.hook')).status).toBe(200)
    const removed = await fetch(`${rig.client.url}/subscriptions/shop.hook`, {
      method: 'DELETE',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(BY),
    })
    expect(removed.status).toBe(204)
    expect((await call('GET', '/subscriptions/shop.hook')).status).toBe(404)
  })

  it('matches by a change as soon as that is answered, whether the API or a manifest makes it', async () => {
    const filters = (subject: string) => [{ exact: { subject } }]
    await call('POST', '/subscriptions', request('swift', { filters: filters('none') }))
    const changes = {
      '/hooks/swift': (subject: string) =>
        call('PUT', '/subscriptions/shop.swift', request('swift', { filters: filters(subject) })),
      [eventsPath('haste', 'swift')]: (subject: string) =>
        subscribeTo(rig.client, 'haste', {
          subscriptions: [{ name: 'swift', types: ['api.*'], filters: filters(subject) }],
          url: rig.receiver.url,
        }),
    }
    const redis = rig.redis.client()
    await untilNothingCloses()
    for (const [path, change] of Object.entries(changes)) {
      for (let n = 0; n < 30; n++) {
        await change(`s${n}`)
        // What a partition was told of is what a router must match by: with anything older it is turned away.
        const [told, current] = await Promise.all([
          redis.hget('{p0}:routed', 'revision'),
          redis.hget('{reg}:meta', 'revision'),
        ])
        expect([n, told]).toEqual([n, current])
      }
      await publish(rig.client, 'api.sent', { subject: 's29', data: path })
      await rig.receiver.waitFor(path, 1)
      expect(dataAt(rig.receiver, path)).toEqual([path])
      await change('none')
    }
  })

  it('changes nothing when it is asked for the same again', async () => {
    await untilNothingCloses()
    await call('POST', '/subscriptions', request('same'))
    const version = async () => (await call<{ version: number }>('GET', '/services/shop')).body.version
    const before = await version()
    const again = await call('PUT', '/subscriptions/shop.same', request('same'))
    expect([again.status, await version()]).toEqual([200, before])
    await call('PUT', '/subscriptions/shop.same', request('same', {}, { retries: 1 }))
    expect(await version()).toBe(before + 1)
  })

  it('has subscriptions that are pulled, which have no sink', async () => {
    const { sink: _sink, ...pulled } = request('pulled', {}, { delivery: 'pull' })
    const made = await call('POST', '/subscriptions', pulled)
    expect([made.status, made.body.config.delivery]).toEqual([201, 'pull'])
    expect([made.body.sink, made.body.protocol]).toEqual([undefined, undefined])
    await publish(rig.client, 'api.sent', { data: 1 })
    await rig.client.until('shop', 'subscription:pulled', { waiting: 1 })
  })

  it('gives a name where none is given', async () => {
    const { config, ...rest } = request('x')
    const made = await call('POST', '/subscriptions', { ...rest, config: { namespace: config.namespace } })
    expect(made.body.id).toMatch(/^shop\.api-[0-9a-f]{8}$/)
  })

  it('refuses what it cannot do, with the place and the fix', async () => {
    const refused = async (body: unknown, path = '/subscriptions', method = 'POST') => {
      const { status, body: problem } = await rig.client.call(method, path, { body })
      return [status, problem.code, problem.errors?.[0]?.pointer]
    }
    await call('POST', '/subscriptions', request('taken'))
    expect(await refused(request('taken'))).toEqual([409, 'subscription.exists', undefined])
    expect(await refused(request('declared'))).toEqual([409, 'subscription.declared', undefined])
    expect(await refused(request('declared'), '/subscriptions/shop.declared', 'PUT')).toEqual([
      409,
      'subscription.declared',
      undefined,
    ])
    expect(await refused(request('other'), '/subscriptions/shop.taken', 'PUT')).toEqual([422, 'request.invalid', '/id'])
    expect(await refused(request('a'), '/subscriptions/shop.gone', 'PUT')).toEqual([
      404,
      'subscription.unknown',
      undefined,
    ])
    expect(await refused({ ...request('a'), config: { namespace: 'nobody', name: 'a' } })).toEqual([
      404,
      'service.unknown',
      undefined,
    ])
    expect(await refused(request('a', { protocol: 'KAFKA' }))).toEqual([422, 'request.invalid', '/protocol'])
    expect(await refused(request('a', { sink: 'ftp://x/y' }))).toEqual([422, 'request.invalid', '/sink'])
    expect(await refused(request('a', { filters: [{ regex: {} }] }))).toEqual([
      422,
      'request.invalid',
      '/filters/0/regex',
    ])
    expect(await refused(request('a', {}, { onDead: 'block' }))).toEqual([422, 'request.invalid', '/config/onDead'])
    expect(await refused(request('a', {}, { backoff: { type: 'list' } }))).toEqual([
      ...[422, 'request.invalid', '/config/backoff'],
    ])
    expect(await refused(request('a', {}, { delivery: 'pull' }))).toEqual([422, 'request.invalid', '/sink'])
    expect(await refused(request('a', { sink: undefined }))).toEqual([422, 'request.invalid', '/sink'])
    expect(await refused(request('a', { sinkcredential: {} }))).toEqual([422, 'request.invalid', '/sinkcredential'])
  })
})

describe('a filter that is tried', () => {
  it('says which of the last events it would have matched', async () => {
    for (const [number, subject] of ['x', 'y', 'x'].entries())
      await publish(rig.client, 'tried.sent', { subject, data: number })
    const { status, body } = await call<{
      looked: number
      matched: number
      events: { type: string; matches: boolean; subject?: string }[]
    }>('POST', '/subscriptions/try', { types: ['tried.*'], filters: [{ sql: "subject = 'x'" }], last: 3 })
    expect(status).toBe(200)
    expect(body).toMatchObject({ looked: 3, matched: 2 })
    expect(body.events.map(({ subject, matches }) => [subject, matches])).toEqual([
      ['x', true],
      ['y', false],
      ['x', true],
    ])
    const bad = await rig.client.call('POST', '/subscriptions/try', { body: { filters: [{ sql: 'subject =' }] } })
    expect([bad.status, bad.body.errors?.[0]]).toEqual([
      422,
      { pointer: '/filters/0/sql', detail: 'is not CloudEvents SQL: expected a value, got the end at position 10' },
    ])
  })

  it("looks at the platform's events of its own namespace when it asks for them", async () => {
    const looked = async (namespace: string) =>
      (await call<{ matched: number }>('POST', '/subscriptions/try', { namespace, types: ['job.enqueued'] })).body
        .matched
    expect(await looked('shop')).toBeGreaterThan(0)
    expect(await looked('stranger')).toBe(0)
  })
})
