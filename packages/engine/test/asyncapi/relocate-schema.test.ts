import { Ajv2020 } from 'ajv/dist/2020.js'
import { describe, expect, it } from 'vitest'
import { relocateSchema } from '../../src/asyncapi/relocate-schema.ts'

const PLACE = '/components/schemas/a~1b'

describe('a schema that is moved into another document', () => {
  it.each([
    ['a pointer', { $ref: '#/$defs/x' }, { $ref: `#${PLACE}/$defs/x` }],
    ['itself', { properties: { child: { $ref: '#' } } }, { properties: { child: { $ref: `#${PLACE}` } } }],
    [
      'an anchor',
      { $ref: '#money', $defs: { 'a/b': { $anchor: 'money', type: 'integer' } } },
      { $ref: `#${PLACE}/$defs/a~1b`, $defs: { 'a/b': { type: 'integer' } } },
    ],
    [
      'its own address',
      { $id: 'https://shop.test/order.json', properties: { a: { $ref: 'order.json#/$defs/x' } } },
      { properties: { a: { $ref: `#${PLACE}/$defs/x` } } },
    ],
    [
      'a schema inside that has an address',
      { items: { $ref: 'item' }, $id: 'https://shop.test/list', $defs: { i: { $id: 'item', anyOf: [{ $ref: '#' }] } } },
      { items: { $ref: `#${PLACE}/$defs/i` }, $defs: { i: { anyOf: [{ $ref: `#${PLACE}/$defs/i` }] } } },
    ],
    [
      'nothing, where a word is only a name or a value',
      { properties: { $ref: { const: { $ref: '#/x' } }, $id: { enum: ['#/x'] } } },
      { properties: { $ref: { const: { $ref: '#/x' } }, $id: { enum: ['#/x'] } } },
    ],
    ['another document, which stays', { $ref: 'https://other.test/x#/y' }, { $ref: 'https://other.test/x#/y' }],
  ])('refers to %s', (_what, schema, moved) => {
    expect(relocateSchema(schema, PLACE)).toEqual(moved)
  })

  it('is an object, also when it is true or false', () => {
    expect([relocateSchema(true, PLACE), relocateSchema(false, PLACE)]).toEqual([{}, { not: {} }])
  })

  it('accepts and refuses what it did before', () => {
    const tree = {
      $id: 'https://shop.test/tree',
      type: 'object',
      required: ['size'],
      properties: { size: { $ref: '#size' }, children: { type: 'array', items: { $ref: '#' } } },
      $defs: { size: { $anchor: 'size', type: 'integer', minimum: 1 } },
    }
    const document = { components: { schemas: { 'a/b': relocateSchema(tree, PLACE) } } }
    const before = new Ajv2020({ strict: false }).compile(tree)
    const after = new Ajv2020({ strict: false }).compile({ ...document, $ref: `#${PLACE}` })
    for (const value of [{ size: 1, children: [{ size: 2 }] }, { size: 1, children: [{ size: 0 }] }, {}, 7])
      expect(after(value), JSON.stringify(value)).toBe(before(value))
    expect([after({ size: 1 }), after({ size: 0 })]).toEqual([true, false])
  })
})
