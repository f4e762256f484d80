import { describe, expect, it } from 'vitest'
import { compileFilters } from '../../src/filter/filters.ts'

const EVENT = {
  id: 'e-1',
  source: '/shop/orders',
  specversion: '1.0',
  type: 'order.paid',
  subject: 'order/7',
  priority: 3,
}

const passes = (...filters: unknown[]) => {
  const compiled = compileFilters(filters)
  if (compiled.kind === 'refused') throw new Error(JSON.stringify(compiled.mistakes))
  return compiled.matches(EVENT)
}

describe('filters', () => {
  it.each([
    [[], true],
    [[{ exact: { type: 'order.paid' } }], true],
    [[{ exact: { type: 'order.paid', source: '/other' } }], false],
    [[{ exact: { priority: '3' } }], true],
    [[{ exact: { nothing: 'x' } }], false],
    [[{ prefix: { constructor: 'function' } }], false],
    [[{ sql: 'EXISTS constructor' }], false],
    [[{ sql: "constructor LIKE '%'" }], false],
    [[{ prefix: { type: 'order.' } }], true],
    [[{ prefix: { type: 'orders' } }], false],
    [[{ suffix: { subject: '/7' } }], true],
    [[{ suffix: { nothing: '7' } }], false],
    [[{ exact: { type: 'order.paid' } }, { prefix: { source: '/other' } }], false],
    [[{ all: [{ exact: { id: 'e-1' } }, { suffix: { type: '.paid' } }] }], true],
    [[{ all: [{ exact: { id: 'e-1' } }, { suffix: { type: '.sent' } }] }], false],
    [[{ any: [{ exact: { id: 'e-2' } }, { suffix: { type: '.paid' } }] }], true],
    [[{ any: [{ exact: { id: 'e-2' } }, { suffix: { type: '.sent' } }] }], false],
    [[{ not: { exact: { nothing: 'x' } } }], true],
    [[{ not: { not: { exact: { id: 'e-1' } } } }], true],
    [[{ sql: "type LIKE 'order.%' AND priority > 2" }], true],
    [[{ sql: 'priority' }], false],
    [[{ sql: 'NOT (nothing = 1)' }], false],
    [[{ not: { sql: "subject = 'order/8'" } }], true],
  ])('%j: %s', (filters, expected) => {
    expect(passes(...filters)).toBe(expected)
  })

  it('refuses what it does not know, every mistake with its place', () => {
    const compiled = compileFilters([
      { equals: { type: 'a' } },
      { cesql: 'TRUE' },
      { exact: { Type: 'a', data: 'b', id: '' } },
      { exact: {} },
      { all: [] },
      { any: [{ not: { sql: 'type = ' } }] },
      { exact: { id: 'a' }, prefix: { id: 'a' } },
      'type = 1',
    ])
    expect(compiled).toEqual({
      kind: 'refused',
      mistakes: [
        {
          pointer: '/0/equals',
          detail: expect.stringContaining('known are exact, prefix, suffix, all, any, not, sql'),
        },
        { pointer: '/1/cesql', detail: expect.stringContaining('called "sql" here') },
        { pointer: '/2/exact/Type', detail: expect.stringContaining('no attribute') },
        { pointer: '/2/exact/data', detail: expect.stringContaining('no attribute') },
        { pointer: '/2/exact/id', detail: expect.stringContaining('not empty') },
        { pointer: '/3/exact', detail: expect.stringContaining('object of attributes') },
        { pointer: '/4/all', detail: expect.stringContaining('at least one') },
        { pointer: '/5/any/0/not/sql', detail: 'is not CloudEvents SQL: expected a value, got the end at position 8' },
        { pointer: '/6', detail: expect.stringContaining('one dialect') },
        { pointer: '/7', detail: expect.stringContaining('one dialect') },
      ],
    })
  })

  it('refuses what is no list, too much and too deep', () => {
    const mistakeOf = (filters: unknown) => {
      const compiled = compileFilters(filters)
      return compiled.kind === 'refused' ? compiled.mistakes[0]?.detail : undefined
    }
    const deep = Array.from({ length: 20 }).reduce<unknown>((inner) => ({ not: inner }), { exact: { id: 'a' } })
    expect(mistakeOf({ exact: { id: 'a' } })).toBe('must be a list of filters')
    expect(mistakeOf(Array.from({ length: 201 }, () => ({ exact: { id: 'a' } })))).toContain('more than 200')
    expect(mistakeOf([deep])).toContain('nests deeper')
  })
})
