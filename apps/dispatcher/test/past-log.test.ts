import { comparePositions, type LogEvent } from '@millrace/contracts'
import { createPartition, type Partition, readLogRange } from '@millrace/streams'
import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { History } from '../src/events/history.ts'
import { readPast } from '../src/events/past-log.ts'

let redis: RedisServer
let partition: Partition
beforeAll(async () => {
  redis = await startRedis()
  partition = createPartition(redis.client(), 0)
})
beforeEach(() => redis.flush())
afterAll(() => redis.stop())

/** Entries of several facts each, and a store that has recorded them all. */
async function recorded(facts: number) {
  for (let n = 0; n < facts; n += 7) {
    const together = Array.from({ length: 7 }, (_, index) => [`e/${n + index}`, `${n + index}`])
    const shared = ['event', 'a', 'shop', '']
    await partition.redis.xadd(partition.keys.log, `${1000 + n}-0`, ...shared, ...together.flat())
  }
  const all = await readLogRange(partition, { count: 10_000 })
  const history: History = {
    isThere: true,
    async read({ after, to }) {
      const inside = all.filter(
        ({ position }) => comparePositions(position, after) > 0 && comparePositions(position, to) <= 0,
      )
      const events = inside.slice(0, 5)
      return { events, through: inside.length > 5 ? events.at(-1)!.position : to, entriesRead: all.length }
    },
  }
  const entries = (await partition.redis.xrange(partition.keys.log, '-', '+')).map(([position]) => position)
  return { all, entries, history }
}
const dataOf = (events: readonly Pick<LogEvent, 'data'>[]) => events.map(({ data }) => data)

async function readAll(history: History, between: (page: number) => Promise<unknown>, to?: string) {
  const found: LogEvent[] = []
  let after = '0-0'
  for (let page = 0; page < 1000; page++) {
    const { events, through, atEnd } = await readPast(history, partition, {
      ...{ after, count: 10, publishedOnly: true },
      ...(to !== undefined && { to }),
    })
    found.push(...events)
    if (atEnd) return found
    after = through
    await between(page)
  }
  throw new Error('It has no end.')
}

describe('a log that is trimmed while it is read', () => {
  it.each([1, 2, 3, 5])('gives each fact once when an entry goes with every %s. page', async (every) => {
    const { all, entries, history } = await recorded(140)
    const trim = async (page: number) => {
      const cut = entries[Math.floor((page + 1) / every) * 2]
      if (cut) await partition.redis.xtrim(partition.keys.log, 'MINID', cut)
    }
    expect(dataOf(await readAll(history, trim))).toEqual(dataOf(all))
  })

  it.each([0, 1, 6, 7, 8, 20, 69, 70, 137, 139])(
    'ends in the right place when it is to end with fact %s',
    async (last) => {
      const { all, entries, history } = await recorded(140)
      await partition.redis.xtrim(partition.keys.log, 'MINID', entries[10]!)
      const found = await readAll(history, async () => undefined, all[last]!.position)
      expect(dataOf(found)).toEqual(dataOf(all.slice(0, last + 1)))
    },
  )

  it('is read again from the store when the trimming came between looking and reading', async () => {
    const { all, entries, history } = await recorded(70)
    let trims = 0
    const trimmedFirst = new Proxy(partition.redis, {
      get(client, name) {
        const value = Reflect.get(client, name) as unknown
        if (typeof value !== 'function') return value
        if (name !== 'fcall') return value.bind(client)
        return async (...args: unknown[]) => {
          if (trims++ === 0) await client.xtrim(partition.keys.log, 'MINID', entries[5]!)
          return value.apply(client, args)
        }
      },
    })
    const range = { after: all[1]!.position, count: 10, publishedOnly: true }
    const page = await readPast(history, { ...partition, redis: trimmedFirst }, range)
    expect(trims).toBe(1)
    expect(dataOf(page.events)).toEqual(dataOf(all.slice(2, 7)))
  })
})
