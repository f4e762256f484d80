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
    [{ format: 'uri' }],
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
    [{ format: 'url' }, /unknown format/],
    [{ pattern: '^(?=.*[0-9]).+$' }, /linear time.*Lookarounds/],
    [{ pattern: '^(a|b)\\1$' }, /linear time/],
    [{ patternProperties: { '^(?!x)': true } }, /linear time/],
    [{ pattern: '(a{1,30}b?){1,30}(c{1,30}){1,10}' }, /too large: \d+ instructions, of 1000/],
  ])('is refused when it is %j', (schema, why) => {
    expect(faultOfSchema(schema)).toMatch(why)
  })

  it('names what does not fit, the first twenty of it', () => {
    const check = compileSchema({ type: 'array', items: { type: 'integer' } })
    expect(check([1, 'x'])).toEqual([{ pointer: '/data/1', detail: 'must be integer' }])
    expect(check(Array(5000).fill('x'))).toHaveLength(20)
    expect(check([1, 2])).toEqual([])
  })

  it.each([['(a+)+$'], ['^(a|aa)+$'], ['^(a|a)*$'], ['(.*)(.*)(.*)(.*)[^a]b$']])(
    'matches %s, at which a backtracking engine would never end',
    (pattern) => {
      const data = `${'a'.repeat(10_000)}!`
      const byValue = compileSchema({ type: 'string', pattern })
      expect(byValue(data)).toMatchObject([{ pointer: '/data', detail: expect.stringContaining('must match pattern') }])
      expect(byValue('a'.repeat(10_000)).length).toBe(new RegExp(pattern).test('aaa') ? 0 : 1)
      const byName = compileSchema({ patternProperties: { [pattern]: true }, additionalProperties: false })
      expect(byName({ [data]: 1 })).toMatchObject([{ pointer: '/data' }])
    },
  )

  it('spends no more on the patterns of one event than a bound, which the next event has anew', () => {
    const check = compileSchema({ type: 'array', items: { type: 'string', pattern: '^[ab]*a[ab]{400}$' } })
    const text = 'ab'.repeat(10_000)
    expect(check([text])).toMatchObject([{ pointer: '/data/0' }])
    const tooLong = [{ pointer: '/data', detail: 'is too long to be compared with the patterns of its schema' }]
    expect(check([text, text, text])).toEqual(tooLong)
    expect(check([text])).toMatchObject([{ pointer: '/data/0' }])
  })

  it.each([
    ['^\\p{Lu}\\p{L}+$', 'Zoë', 'zoë'],
    ['^\\u{1F600}\\u00e9\\/$', '😀é/', 'é'],
    ['^(?<year>\\d{4})-\\d\\d$', '2026-11', '2026-11\n'],
    ['b.d', 'abcde', 'ab\nde'],
  ])('takes what patterns of JSON Schema say: %s', (pattern, fits, fitsNot) => {
    const check = compileSchema({ pattern })
    expect(check(fits)).toEqual([])
    expect(check(fitsNot)).toHaveLength(1)
  })
})
