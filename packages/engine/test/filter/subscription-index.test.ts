import * as contracts from '@millrace/contracts'
import { describe, expect, it } from 'vitest'
import { fitsTypes, indexSubscriptions } from '../../src/filter/subscription-index.ts'

describe('the index of subscriptions', () => {
  it.each([
    [['order.paid'], 'order.paid', true],
    [['order.paid'], 'order.paid.twice', false],
    [['order.*'], 'order.paid', true],
    [['order.*'], 'order.line.added', true],
    [['order.*'], 'order', false],
    [['order.*'], 'orders.paid', false],
    [['order.line.*'], 'order.line.added', true],
    [['order.line.*'], 'order.paid', false],
    [['*'], 'order.paid', true],
    [[], 'order.paid', true],
    [['a', 'order.*', 'order.paid'], 'order.paid', true],
    [['*'], contracts.JOB_EVENTS.deadLettered, false],
    [['job.*'], contracts.JOB_EVENTS.deadLettered, true],
    [['*'], 'job.posted', true],
    [['.net.*'], '.net.started', true],
  ])('%j fits %s: %s', (types, type, expected) => {
    expect(fitsTypes(types, type)).toBe(expected)
  })

  it('keeps everything that the platform says out of *', () => {
    const lists = Object.entries(contracts).filter(
      ([name, value]) => /_EVENTS$/.test(name) && typeof value === 'object',
    )
    const types = lists.flatMap(([, events]) => Object.values(events as Record<string, string>))
    expect(types).toEqual(expect.arrayContaining(['backfill.started', 'gas.charged', 'breaker.opened']))
    expect(types.filter((type) => fitsTypes(['*'], type))).toEqual([])
  })

  it('names a subscription once, whichever of its patterns fit', () => {
    const all = { types: ['order.paid', 'order.*', '*'] }
    const other = { types: ['invoice.*'] }
    const index = indexSubscriptions([all, other])
    expect([...index.candidates('order.paid')]).toEqual([all])
    expect(index.size).toBe(2)
  })

  it('looks at none of ten thousand subscriptions that ask for other types', () => {
    let looked = 0
    const items = Array.from({ length: 10_000 }, (_, number) => ({
      get types() {
        looked++
        return [`other.${number}`, `else.${number}.*`]
      },
    }))
    const index = indexSubscriptions(items)
    looked = 0
    expect(index.candidates('order.paid').size).toBe(0)
    expect(looked).toBe(0)
  })
})
