import { type ChildHandle, type Receiver, startProcess, startReceiver } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPlace, MILLRACE, type Place, runCommand, startUp } from './platform.ts'

const PATH = '/internal/events/paid'

let place: Place
let platform: ChildHandle
let service: Receiver
beforeAll(async () => {
  service = await startReceiver()
  place = await findPlace()
  platform = await startUp(place)
  const subscriptions = [
    { name: 'paid', types: ['order.*'], filters: [{ sql: 'EXISTS subject' }], endpoint: PATH, keyConcurrency: 1 },
    { name: 'pulled', delivery: 'pull' },
  ]
  const manifest = { metadata: { name: 'shipping' }, spec: { subscriptions } }
  const applied = await fetch(`${place.urls.dispatcher}/services/shipping`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ manifest, url: service.url, who: 'test' }),
  })
  expect(applied.status, await applied.text()).toBe(200)
}, 90_000)
afterAll(async () => {
  await platform.stop()
  await place.remove()
  await service.stop()
})

const millrace = (...args: string[]) => runCommand(place, ...args)
const subscriptions = async (...args: string[]) => {
  const { code, output } = await millrace('subscriptions', ...args)
  return { code, output }
}

describe('millrace events', { timeout: 240_000 }, () => {
  it('publishes, lists, and goes on telling across a restart', async () => {
    const tail = await startProcess({
      file: MILLRACE,
      args: ['events', 'tail', 'order.*', '--after', 'earliest'],
      env: place.env,
    })
    const paid = await millrace(
      'events',
      'publish',
      'order.paid',
      '{"cents":4200}',
      '--namespace',
      'shop',
      '--subject',
      'order/7',
      '--id',
      'p1',
    )
    expect(paid.stdout).toMatch(
      /^evt_\w+ published \(namespace: shop, position: \d+:\d+-\d+, durability: \w+(, 1 replica)?\)\n$/,
    )
    const again = await millrace(
      'events',
      'publish',
      'order.paid',
      '{"cents":4200}',
      '--namespace',
      'shop',
      '--subject',
      'order/7',
      '--id',
      'p1',
    )
    expect(again.stdout.replace('was published before', 'published')).toBe(paid.stdout)
    expect(await tail.waitForLine(/p1/, 60_000)).toMatch(
      /^\S+Z {2}order\.paid {2}\/shop {2}order\/7 {2}p1 {2}\{"cents":4200\}$/,
    )
    await millrace('events', 'publish', 'invoice.sent')

    const list = (await millrace('events', 'list', '--limit', '1')).stdout
    expect(list).toMatch(/^TIME +TYPE +SOURCE +SUBJECT +ID +DATA\n\S+ +(order\.paid|invoice\.sent) /)
    const cursor = /--after (\S+)\)/.exec(list)?.[1] as string
    // Which of the two comes first is only said of events in one partition.
    const both = list + (await millrace('events', 'list', '--after', cursor)).stdout
    expect(both.match(/ (order\.paid|invoice\.sent) /g)?.toSorted()).toEqual([' invoice.sent ', ' order.paid '])
    expect(both).toMatch(/^\S+ +order\.paid +\/shop +order\/7 +p1 +\{"cents":4200\}$/m)
    expect(both).toMatch(/^\S+ +invoice\.sent +\/default +– /m)
    expect((await millrace('events', 'list', 'no.such')).stdout).toBe('No events.\n')

    await platform.stop()
    await tail.waitForLine(/the dispatcher is away/, 60_000)
    platform = await startUp(place)
    await millrace('events', 'publish', 'order.lost', '--subject', 'order/8', '--id', 'l1')
    await tail.waitForLine(/order\.lost/, 60_000)
    expect(tail.lines().filter((line) => line.includes('order.'))).toHaveLength(2)
    await tail.kill()
  })

  it('says what is wrong with what was asked', async () => {
    const wrong = await millrace('events', 'publish', 'job.succeeded', '{}')
    expect([wrong.code, wrong.output]).toEqual([1, expect.stringMatching(/\/type is a type that only the platform/)])
    expect((await millrace('events', 'publish', 'a.b', '{cents')).output).toMatch(/data is not JSON.*Quote it/)
    expect((await millrace('events', 'tail', 'a*')).output).toMatch(/\/types.*must be a type/s)
    expect((await millrace('events', 'list', '--after', 'yesterday')).output).toMatch(/\/after must be a cursor/)
  })
})

describe('millrace subscriptions', { timeout: 240_000 }, () => {
  it('lists, shows, tries, replays, moves and ends', async () => {
    await service.waitFor(PATH, 2)
    await expect
      .poll(async () => (await subscriptions('list', 'shipping')).output, { timeout: 60_000 })
      .toMatch(/^shipping\.paid +order\.\* +http:\S+\/internal\/events\/paid +0 +0 +0$/m)
    expect((await subscriptions('list')).output).toMatch(/^shipping\.pulled +\* +pull \(.*\) +3 +0 +0$/m)
    const shown = (await subscriptions('show', 'shipping.paid')).output
    expect(shown).toMatch(
      /^shipping\.paid {2}made by the manifest\n {2}types +order\.\*\n {2}and +\{"sql":"EXISTS subject"\}\n/,
    )
    expect(shown).toMatch(/delivery +5 at once, 9 retries, in order per key\n {2}jobs .* 2 succeeded, 0 dead/)

    const tried = (
      await subscriptions(
        'try',
        '--types',
        'order.*',
        '--sql',
        "subject = 'order/7'",
        '--filter',
        '{"exact":{"id":"p1"}}',
      )
    ).output
    expect(tried).toMatch(/^yes +order\.paid +\/shop +order\/7 +evt_/m)
    expect(tried).toMatch(/^no +invoice\.sent/m)
    expect(tried).toMatch(/1 of the last 3 events match\./)

    const range = ['replay', 'shipping.paid', '--from', 'earliest']
    expect((await subscriptions(...range, '--dry-run')).output).toMatch(/^2 events would be delivered again/)
    expect((await subscriptions(...range, '--rate', '50', '--wait', '--why', 'a test')).output).toMatch(
      /^replay_\w+ finished, 2 delivered again into shipping\.paid/,
    )
    await service.waitFor(PATH, 4)
    const replays = (await subscriptions('replays', 'shipping.paid')).output
    expect(replays).toMatch(/^replay_\w+ +finished +earliest +now +2 +50 /m)
    const id = /^replay_\w+/m.exec(replays)?.[0] as string
    expect((await subscriptions('stop', id)).output).toMatch(/ finished, 2 delivered/)

    expect((await subscriptions('move', 'shipping.paid', '--to', 'now')).output).toMatch(/Say why/)
    expect((await subscriptions('move', 'shipping.paid', '--to', 'now', '--why', 'a test')).output).toBe(
      'shipping.paid moved to now\n',
    )
    await fetch(`${place.urls.dispatcher}/subscriptions`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ config: { namespace: 'shipping', name: 'made', delivery: 'pull' }, who: 'test' }),
    })
    expect(await subscriptions('end', 'shipping.made', '--why', 'a test')).toEqual({
      code: 0,
      output: 'shipping.made ended\n',
    })
    expect((await subscriptions('show', 'shipping.made')).output).toMatch(/There is no such subscription/)
  })

  it('says what is wrong with what was asked', async () => {
    expect(await subscriptions('show', 'paid')).toEqual({
      code: 1,
      output: expect.stringMatching(/expected <namespace>\.<name>/),
    })
    expect((await subscriptions('end', 'shipping.paid', '--why', 'a test')).output).toMatch(
      /change it there and apply it/,
    )
    expect((await subscriptions('try', '--sql', 'type =')).output).toMatch(/position 7/)
    expect((await subscriptions('replay', 'shipping.paid', '--from', 'now')).output).toMatch(/\/from must be earliest/)
  })
})
