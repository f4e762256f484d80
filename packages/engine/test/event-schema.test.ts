import { describe, expect, it } from 'vitest'
import { compileSchema, faultOfSchema } from '../src/index.ts'

describe('the schema of an event', () => {
  it.each([
    [
      {
        type: 'object',
        $defs: { money: { $anchor: 'money', type: 'integer' } },
        properties: { a: { $ref: '#money' } },
      },
    ],
    [{ prefixItems: [{ const: 1 }], items: false }],
    [true],
    [undefined],
  ])('may be %j', (schema) => {
    expect(faultOfSchema(schema)).toBeUndefined()
  })

  it.each([
    ['text', /must be a JSON Schema/],
    [{ type: 'objekt' }, /must be equal to one of the allowed values/],
    [{ requierd: ['a'] }, /unknown keyword: "requierd"/],
    [{ $ref: 'https://elsewhere.test/schema' }, /can't resolve reference/],
    [{ pattern: '(' }, /regular expression/i],
    [{ format: 'e-mail' }, /unknown format/],
  ])('is refused when it is %j', (schema, why) => {
    expect(faultOfSchema(schema)).toMatch(why)
  })

  it('names what does not fit, the first twenty of it', () => {
    const check = compileSchema({ type: 'array', items: { type: 'integer' } })
    expect(check([1, 'x'])).toEqual([{ pointer: '/data/1', detail: 'must be integer' }])
    expect(check(Array(5000).fill('x'))).toHaveLength(20)
    expect(check([1, 2])).toEqual([])
  })
})
