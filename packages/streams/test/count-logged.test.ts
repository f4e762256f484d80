import { beforeEach, describe, expect, it } from 'vitest'
import { countLogged, emit, type Partition } from '../src/index.ts'
import { useBench } from './fixture.ts'

const bench = useBench({ consumer: 'c1' })
let partition: Partition
beforeEach(() => {
  partition = bench.partition
})

/** Events of one type, which share an entry. */
const publish = (type: string, count: number) =>
  emit(
    partition,
    Array.from({ length: count }, () => ({
      ...{ kind: 'event' as const, type, namespace: 'shop', entityId: 'e', data: '{}' },
    })),
  )
const count = (range: Partial<Parameters<typeof countLogged>[1]> = {}) =>
  countLogged(partition, { after: '0-0', count: 500, types: ['order.*'], ...range })

describe('events of a log that a subscription asks for', () => {
  it('are counted by their types, and nothing else is', async () => {
    await publish('order.paid', 3)
    await publish('stock.low', 5)
    await publish('order.sent', 2)
    await bench.add()
    expect(await count()).toMatchObject({ events: 5, atEnd: true })
    expect(await count({ types: ['stock.low', 'order.sent'] })).toMatchObject({ events: 7 })
    expect(await count({ types: [] }), 'all that services publish').toMatchObject({ events: 10 })
    expect(await count({ types: ['none'] })).toMatchObject({ events: 0, first: undefined, atEnd: true })
  })

  it('are counted from the middle of an entry and up to the middle of one', async () => {
    const positions = (await publish('order.paid', 10)).map(({ position }) => position)
    expect(await count({ after: positions[3]! })).toMatchObject({ events: 6, first: positions[4] })
    expect(await count({ to: positions[3]! })).toMatchObject({ events: 4, first: positions[0], through: positions[3] })
    expect(await count({ after: positions[3]!, to: positions[5]! })).toMatchObject({ events: 2, atEnd: true })
    expect(await count({ after: positions[9]! })).toMatchObject({ events: 0, through: positions[9], entries: 0 })
  })

  it('are counted a part at a time, where there are more than were asked for', async () => {
    for (let n = 0; n < 4; n++) await publish('order.paid', 100)
    const first = await count({ count: 200 })
    expect(first).toMatchObject({ events: 200, atEnd: false, entries: 2 })
    expect(await count({ after: first.through })).toMatchObject({ events: 200, atEnd: true })
  })
})
