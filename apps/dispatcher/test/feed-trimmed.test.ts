import { createPartitions, type Partition } from '@millrace/streams'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publish } from './event-fixture.ts'
import { type Rig, startRig } from './fixture.ts'

let rig: Rig
let partition: Partition
beforeAll(async () => {
  rig = await startRig()
  partition = createPartitions(rig.redis.client(), 1).of('')
})
afterAll(() => rig.stop())

interface Page {
  readonly events: { readonly data: unknown }[]
  readonly cursor: string
  readonly missed?: { readonly since: string; readonly until: string }
}
const read = async (query: string) => (await rig.client.call<Page>('GET', `/events?types=cut.sent&${query}`)).body
const dataOf = ({ events }: Page) => events.map(({ data }) => data)

/** Publishes so many events, one after another; where each stands in the log. */
async function publishMany(count: number): Promise<string[]> {
  const positions: string[] = []
  for (let n = 0; n < count; n++) {
    const { position } = (await publish(rig.client, 'cut.sent', { data: n })) as { position: string }
    positions.push(position.replace('0:', ''))
  }
  return positions
}
const trimTo = (position: string) => partition.redis.xtrim(partition.keys.log, 'MINID', position)
const msOf = (position: string) => Number(position.split('-')[0])

/** What a stream says until it has sent an event. */
async function untilEvent(path: string, headers: Record<string, string>): Promise<string> {
  const gone = new AbortController()
  const response = await fetch(`${rig.client.url}${path}`, { headers, signal: gone.signal })
  let text = ''
  for await (const piece of response.body!.pipeThrough(new TextDecoderStream())) {
    text += piece
    if (/event: cloudevent\n[\s\S]*\n\n/.test(text)) break
  }
  gone.abort()
  return text
}

describe('a reader whose place was trimmed away', () => {
  it('is told of what time events are missing, once, and goes on with the log', async () => {
    const { cursor: start } = await read('after=now')
    const positions = await publishMany(5)
    const first = await read(`after=${start}&limit=1`)
    expect([dataOf(first), first.missed]).toEqual([[0], undefined])
    await trimTo(positions[0]!)
    expect(await read(`after=${first.cursor}`), 'while its own event is there').not.toHaveProperty('missed')
    await trimTo(positions[3]!)
    const after = await read(`after=${first.cursor}`)
    expect(dataOf(after)).toEqual([3, 4])
    expect(Date.parse(after.missed!.since)).toBe(msOf(positions[0]!))
    expect(Date.parse(after.missed!.until)).toBeGreaterThan(msOf(positions[2]!))
    expect(Date.parse(after.missed!.until)).toBeLessThanOrEqual(msOf(positions[3]!) + 1)
    expect(await read(`after=${after.cursor}`)).toEqual({ events: [], cursor: after.cursor })
    const old = new Date(msOf(positions[0]!) - 1000).toISOString()
    expect((await read(`after=${old}`)).missed?.since).toBe(new Date(Date.parse(old) - 1).toISOString())

    const stream = await untilEvent('/events/stream?types=cut.sent', { 'last-event-id': first.cursor })
    expect(stream).toMatch(/event: missed\ndata: (.*)\n\n[\s\S]*event: cloudevent/)
    expect(JSON.parse(/event: missed\ndata: (.*)/.exec(stream)![1]!)).toEqual(after.missed)
  })

  it('is told at once when it would wait, also where the log is empty', async () => {
    const { cursor } = await read('after=now')
    await publishMany(2)
    await partition.redis.xtrim(partition.keys.log, 'MAXLEN', 0)
    const told = await read(`after=${cursor}&wait=30`)
    expect([dataOf(told), told.missed]).toEqual([[], { since: expect.any(String), until: expect.any(String) }])
    expect(await read(`after=${told.cursor}`)).toEqual({ events: [], cursor: told.cursor })
  })

  it('is none who asks for the earliest that there is, or who keeps up', async () => {
    const positions = await publishMany(4)
    await trimTo(positions[2]!)
    const earliest = await read('after=earliest')
    expect([dataOf(earliest), earliest.missed]).toEqual([[2, 3], undefined])
    await publishMany(1)
    const next = await read(`after=${earliest.cursor}`)
    expect([dataOf(next), next.missed]).toEqual([[0], undefined])
    const stream = await untilEvent('/events/stream?types=cut.sent&after=earliest', {})
    expect(stream).not.toContain('event: missed')
  })
})
