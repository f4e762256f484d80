import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publish, subscribeTo } from './event-fixture.ts'
import { dispatcherOn, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ env: { MILLRACE_PARTITIONS: '3', MILLRACE_EVENT_GRANTS: 'ops:*' } })
})
afterAll(() => rig.stop())

interface Page {
  readonly events: { readonly type: string; readonly data: unknown }[]
  readonly cursor: string
}
const read = async (query: string) => (await rig.client.call<Page>('GET', `/events?${query}`)).body
const dataOf = ({ events }: Page) => events.map(({ data }) => data)

/** Reads a stream until it has `count` events; the ids and the data of these. */
async function readStream(path: string, count: number, headers: Record<string, string> = {}) {
  const gone = new AbortController()
  const response = await fetch(`${rig.client.url}${path}`, { headers, signal: gone.signal })
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  let text = ''
  let opened: (() => void) | undefined
  const open = new Promise<void>((resolve) => {
    opened = resolve
  })
  const done = (async () => {
    for (;;) {
      const { value, done } = await reader.read()
      if (done) break
      text += value
      opened?.()
      if ((text.match(/^event: cloudevent$/gm) ?? []).length >= count) break
    }
    gone.abort()
    const ids = [...text.matchAll(/^id: (.*)$/gm)].map(([, id]) => id as string)
    const data = [...text.matchAll(/^data: (.*)$/gm)].map(
      ([, json]) => (JSON.parse(json as string) as { data: unknown }).data,
    )
    return { ids, data, type: response.headers.get('content-type') }
  })()
  await open
  return done
}

describe('GET /events', () => {
  it('goes on from a cursor, over partitions, and each event is there once', async () => {
    for (const number of Array.from({ length: 20 }).keys())
      await publish(rig.client, number % 2 ? 'feed.odd' : 'feed.even', { data: number, subject: `s${number % 7}` })
    const first = await read('types=feed.*&limit=8')
    const second = await read(`types=feed.*&limit=100&after=${first.cursor}`)
    expect([first.events.length, second.events.length]).toEqual([8, 12])
    const all = [...dataOf(first), ...dataOf(second)] as number[]
    expect(all.toSorted((a, b) => a - b)).toEqual([...Array(20).keys()])
    expect(dataOf(await read('types=feed.odd&limit=1000'))).toHaveLength(10)
    expect(dataOf(await read(`types=feed.*&after=${second.cursor}`))).toEqual([])
    // Of one subject in their order.
    expect(all.filter((number) => number % 7 === 3)).toEqual([3, 10, 17])
  })

  it('keeps the bytes of the data', async () => {
    await rig.client.call('POST', '/events', {
      text: '{"type":"feed.bytes","data":{"big":12345678901234567890}}',
    })
    const text = await (await fetch(`${rig.client.url}/events?types=feed.bytes`)).text()
    expect(text).toContain('"big":12345678901234567890')
  })

  it('waits for the first event', async () => {
    const waiting = read('types=late.sent&after=now&wait=30')
    await publish(rig.client, 'other.sent', { data: 'not this' })
    await publish(rig.client, 'late.sent', { data: 'this' })
    // It may have been published before the reader had begun: then it begins behind it, so publish until it is heard.
    let heard = false
    const page = await Promise.race([
      waiting.finally(() => {
        heard = true
      }),
      (async () => {
        while (!heard) await publish(rig.client, 'late.sent', { data: 'this' })
        return waiting
      })(),
    ])
    expect(dataOf(page)[0]).toBe('this')
  })

  it('shows what the platform says to those whom it concerns', async () => {
    await subscribeTo(rig.client, 'mine', {
      subscriptions: [],
      url: rig.receiver.url,
      spec: { queues: [{ name: 'work', endpoint: '/internal/work' }] },
    })
    await rig.client.enqueue('mine', 'work')
    const seen = async (namespace: string) => (await read(`types=job.enqueued&namespace=${namespace}`)).events.length
    expect([await seen('mine'), await seen('ops'), await seen('stranger')]).toEqual([1, 1, 0])
    expect((await read('limit=1000')).events.every(({ type }) => !type.startsWith('job.'))).toBe(true)
  })

  it.each([
    'after=elsewhere',
    'after=5',
    'after=czz.zzzzzzzzzzzzzzzzzz.0',
    'after=c0.zzzzzzzzzz',
    'after=2026-13-01T00:00:00Z',
    'after=evt_fffffffffff00000000',
    'limit=0',
    'types=a%20b',
    'wait=1000',
    'nothing=1',
  ])('refuses %s', async (query) => {
    expect((await rig.client.call('GET', `/events?${query}`)).status).toBe(422)
  })
})

describe('GET /events/stream', () => {
  it('sends what is there and what comes, and goes on after Last-Event-ID', async () => {
    for (const data of [1, 2, 3]) await publish(rig.client, 'stream.sent', { data, subject: 'one' })
    const first = await readStream('/events/stream?types=stream.sent&after=earliest', 2)
    expect(first.type).toBe('text/event-stream')
    expect(first.data.slice(0, 2)).toEqual([1, 2])
    await publish(rig.client, 'stream.sent', { data: 4, subject: 'one' })
    const rest = await readStream('/events/stream?types=stream.sent', 2, { 'last-event-id': first.ids[1]! })
    expect(rest.data).toEqual([3, 4])
  })
})

it('lets only so many readers wait, and lets the next one in when one has gone', async () => {
  const small = await dispatcherOn(rig.redis.url, { env: { MILLRACE_PARTITIONS: '3', MILLRACE_EVENT_READERS: '2' } })
  const goers = [new AbortController(), new AbortController()]
  const open = (signal?: AbortSignal) =>
    fetch(`${small.client.url}/events/stream?types=none.such`, signal ? { signal } : {})
  for (const goer of goers) expect((await open(goer.signal)).status).toBe(200)
  const refused = await small.client.call('GET', '/events?types=none.such&after=now&wait=1')
  expect([refused.status, refused.body.code, refused.headers.get('retry-after')]).toEqual([503, 'stream.too_many', '5'])
  // Who does not wait is always served.
  expect((await small.client.call('GET', '/events?types=none.such')).status).toBe(200)
  goers[0]?.abort()
  await eventually(async () => {
    expect((await small.client.call('GET', '/events?types=none.such&after=now&wait=0.1')).status).toBe(200)
    return true
  })
  goers[1]?.abort()
  await small.dispatcher.stop()
})
