import { nestsDeeperThan } from '@millrace/contracts'
import { describe, expect, it } from 'vitest'

describe('the depth of a JSON text', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth)

  it.each([
    ['a number', '1', 0, false],
    ['as deep as allowed', nested(10), 10, false],
    ['one deeper', nested(11), 10, true],
    ['objects as well as arrays', '{"a":{"b":{"c":[1]}}}', 3, true],
    ['siblings do not add up', `[${Array(20).fill('[1]').join(',')}]`, 2, false],
    ['brackets in strings do not count', JSON.stringify(['[[[[[[[[[[', '{{{{\\"{{{{']), 1, false],
  ])('%s', (_what, json, limit, expected) => {
    expect(() => JSON.parse(json)).not.toThrow()
    expect(nestsDeeperThan(json, limit)).toBe(expected)
  })
})
