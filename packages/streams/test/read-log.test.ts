import { describe, expect, it } from 'vitest'
import { emit, readLogPage, readLogRange } from '../src/index.ts'
import { useBench } from './fixture.ts'

const bench = useBench({ consumer: 'c1' })

describe('who asks for a few types', () => {
  const fact = (type: string, entityId: string) => ({
    ...{ kind: 'event' as const, type, namespace: 'shop', entityId, data: '{}' },
  })
  const named = (events: readonly { entityId: string }[]) => events.map(({ entityId }) => entityId).join('')

  it('gets these alone, and hears how far the log was looked at and how many entries that was', async () => {
    await emit(
      bench.partition,
      [...'aabbabb'].map((type, index) => fact(type, String(index))),
    )
    const all = await readLogRange(bench.partition)
    const passOver = { kinds: [], types: ['a'] }
    const page = await readLogPage(bench.partition, { after: '0-0', count: 100, passOver })
    expect([named(page.events), page.entries, page.through, page.atEnd]).toEqual([
      '2356',
      4,
      all.at(-1)!.position,
      true,
    ])
    const ofNoKind = { kinds: ['event' as const], types: [] }
    const none = await readLogPage(bench.partition, { after: '0-0', count: 100, passOver: ofNoKind })
    expect([none.events, none.entries, none.through]).toEqual([[], 4, all.at(-1)!.position])
    const behind = await readLogPage(bench.partition, { after: none.through, count: 100, passOver })
    expect(behind).toEqual({ events: [], entries: 0, through: none.through, atEnd: true, isWithin: true })
  })

  it('begins and ends in the middle of an entry, and counts an entry where it ends', async () => {
    await emit(
      bench.partition,
      [...'aabbabb'].map((type, index) => fact(type, String(index))),
    )
    const at = (await readLogRange(bench.partition)).map(({ position }) => position)
    for (const from of at.keys()) {
      for (let to = from + 1; to < at.length; to++) {
        const page = await readLogPage(bench.partition, { after: at[from]!, to: at[to]!, count: 100 })
        expect(named(page.events)).toBe('0123456'.slice(from + 1, to + 1))
        expect([page.through, page.atEnd]).toEqual([at[to], true])
      }
    }
    const rest = await readLogPage(bench.partition, { after: at[2]!, count: 100 })
    expect([named(rest.events), rest.entries]).toEqual(['3456', 3])
  })

  it('hears whether the log still has what stands where it begins', async () => {
    const isWithin = async (after: string) => (await readLogPage(bench.partition, { after, count: 100 })).isWithin
    expect(await isWithin('5-0'), 'of a log that is not there').toBe(false)
    for (const each of 'ab')
      await emit(
        bench.partition,
        [...'xyz'].map((type) => fact(type, each)),
      )
    const at = (await readLogRange(bench.partition)).map(({ position }) => position)
    const within = () => Promise.all([...at, '9999999999999-0'].map(isWithin))
    expect(await within()).toEqual(Array(7).fill(true))
    expect([await isWithin('0-0'), await isWithin('5-0')]).toEqual([false, false])
    await bench.partition.redis.xtrim(bench.partition.keys.log, 'MINID', at[3]!)
    expect(await within()).toEqual([false, false, false, true, true, true, true])
  })

  it('passes over what is no fact at all', async () => {
    await bench.partition.redis.xadd(bench.partition.keys.log, '*', 'nonsense', 'yes')
    await emit(bench.partition, [fact('b', '0')])
    const page = await readLogPage(bench.partition, { after: '0-0', count: 100 })
    expect([named(page.events), page.entries]).toEqual(['0', 2])
  })

  it('comes in pages of whole entries that leave nothing out, however long the stretch that nobody asks for', async () => {
    for (let at = 0; at < 12_000; at += 1000)
      await emit(
        bench.partition,
        Array.from({ length: 1000 }, (_, index) => fact(at === 0 || at === 11_000 ? 'b' : 'a', `${at + index},`)),
      )
    let after = '0-0'
    let found = ''
    const pages: { through: string; entries: number }[] = []
    for (let atEnd = false; !atEnd; ) {
      const page = await readLogPage(bench.partition, { after, count: 150, passOver: { kinds: [], types: ['a'] } })
      found += named(page.events)
      pages.push(page)
      ;({ through: after, atEnd } = page)
    }
    expect(found.split(',').slice(0, -1).map(Number)).toEqual([
      ...Array.from({ length: 1000 }, (_, index) => index),
      ...Array.from({ length: 1000 }, (_, index) => 11_000 + index),
    ])
    expect(pages.length, 'no call looks at very much').toBeGreaterThan(3)
    expect(pages.reduce((sum, { entries }) => sum + entries, 0)).toBe(120)
  })
})
