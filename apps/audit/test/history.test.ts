import type { HistoryPage } from '@millrace/contracts'
import { emit, type Fact, readLogRange } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AuditApp, DATABASES, type Rig, startRig } from './support.ts'

describe.each(DATABASES)('what a log held, in %s', (database) => {
  let rig: Rig
  let app: AuditApp
  beforeAll(async () => {
    rig = await startRig({ database })
    app = await rig.startAudit()
  })
  afterAll(() => rig.stop())

  const read = async (query: Record<string, string | number>) => {
    const text = new URLSearchParams(query as Record<string, string>)
    const { status, body } = await app.get<{ data: HistoryPage }>(`/v1/log?${text}`)
    expect(status, JSON.stringify(body)).toBe(200)
    return body.data
  }
  const fact = (n: number, kind: Fact['kind'] = 'event'): Fact => ({
    ...{ kind, type: `t.${n}`, namespace: 'shop', queue: 'mail', entityId: `e/${n}` },
    data: `{ "n":${n}, "big":12345678901234567890 }`,
  })

  it('is read as it stood there, page by page, each fact once', async () => {
    await emit(
      rig.partition,
      Array.from({ length: 25 }, (_, n) => fact(n, n % 5 === 0 ? 'queue' : 'event')),
    )
    const log = await readLogRange(rig.partition, { count: 1000 })
    const [last] = log.slice(-1)
    await eventually(async () => (await read({ partition: 0, to: last!.position })).events.length === log.length)
    const expected = log.map(({ endsEntry: _, partition: __, ...event }) => event)
    const all = await read({ partition: 0, to: last!.position })
    expect(all.events).toEqual(expected)
    expect([all.through, all.entriesRead]).toEqual([last!.position, log.filter(({ endsEntry }) => endsEntry).length])

    const paged: HistoryPage['events'] = []
    for (let after = '0-0'; after !== last!.position; ) {
      const page = await read({ partition: 0, after, to: last!.position, kind: 'event', limit: 7 })
      paged.push(...page.events)
      after = page.through
    }
    expect(paged).toEqual(expected.filter(({ kind }) => kind === 'event'))
    // Both ends in the middle of an entry.
    const [third, sixth] = [log[2]!.position, log[5]!.position]
    expect((await read({ partition: 0, after: third, to: sixth })).events).toEqual(expected.slice(3, 6))
    const endless = `${Date.now() + 1e6}-${Number.MAX_SAFE_INTEGER}`
    expect((await read({ partition: 0, to: endless })).through).toBe(endless)
    expect(await read({ partition: 7, to: last!.position })).toEqual({
      events: [],
      through: last!.position,
      entriesRead: 0,
    })
  })

  it('has no data where it was erased', async () => {
    await rig.sql("UPDATE records SET data = NULL, salt = NULL WHERE event_type = 't.3'")
    const { events } = await read({ partition: 0, to: '9999999999999-0', kind: 'event' })
    expect(events.find(({ type }) => type === 't.3')).toMatchObject({ data: null, entityId: 'e/3', queue: 'mail' })
    expect(events.find(({ type }) => type === 't.4')?.data).toBe('{ "n":4, "big":12345678901234567890 }')
  })

  it.each(['', 'partition=0', 'partition=0&to=x', 'partition=-1&to=1-0', 'partition=0&to=1-0&limit=201'])(
    'is refused when it is asked for with "%s"',
    async (query) => {
      expect((await app.get(`/v1/log?${query}`)).status).toBe(422)
    },
  )
})
