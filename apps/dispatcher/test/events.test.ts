import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataAt, eventsPath, type PublishedBody, publish, subscribeTo } from './event-fixture.ts'
import { expectBalance, manifestOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ env: { MILLRACE_DRAIN_MS: '500' } })
})
afterAll(() => rig.stop())

const STRUCTURED = { 'content-type': 'application/cloudevents+json' }
const send = (text: string | Buffer, headers: Record<string, string> = STRUCTURED, query = '') =>
  rig.client.call<PublishedBody>('POST', `/events${query}`, { text, headers })

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

  it('are drained: what comes meanwhile is theirs after the resume, in order', async () => {
    const [drained, other] = [eventsPath('drained', 'mail'), eventsPath('drained', 'other')]
    const types = ['drained.sent']
    await subscribeTo(rig.client, 'drained', {
      subscriptions: [
        { name: 'mail', types, concurrency: 1 },
        { name: 'other', types },
      ],
      url: rig.receiver.url,
    })
    const command = (word: string) => rig.client.call('POST', `/queues/drained/subscription:mail/${word}`, { body: {} })
    expect((await command('drain')).body).toEqual({ result: 'draining' })
    for (const data of [1, 2, 3]) await publish(rig.client, 'drained.sent', { data, subject: 's' })
    await rig.receiver.waitFor(other, 3)
    expect(rig.receiver.requests(drained)).toHaveLength(0)
    expect((await command('resume')).body).toEqual({ result: 'resumed' })
    await rig.receiver.waitFor(drained, 3)
    expect(dataAt(rig.receiver, drained)).toEqual([1, 2, 3])
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
