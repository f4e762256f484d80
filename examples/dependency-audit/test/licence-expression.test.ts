import { describe, expect, it } from 'vitest'
import { ALLOWED_LICENCES } from '../src/allowed-licences.ts'
import { checkLicence } from '../src/licence-expression.ts'

describe('checkLicence', () => {
  it.each([
    ['MIT', 'allowed'],
    ['(MIT)', 'allowed'],
    ['MPL-2.0', 'not_allowed'],
    ['MIT OR MPL-2.0', 'allowed'],
    ['MPL-2.0 OR MIT', 'allowed'],
    ['MIT AND MPL-2.0', 'not_allowed'],
    ['MIT AND ISC', 'allowed'],
    ['(MIT OR Apache-2.0) AND ISC', 'allowed'],
    ['(GPL-3.0-only OR MIT) AND MPL-2.0', 'not_allowed'],
    ['MIT OR GPL-3.0-only AND MPL-2.0', 'allowed'],
    ['(MIT OR GPL-3.0-only) AND MPL-2.0', 'not_allowed'],
    ['((MIT))', 'allowed'],
    ['  MIT   OR\tISC ', 'allowed'],
    ['(MIT OR(ISC AND MIT))', 'allowed'],
    // Word for word: neither an exception nor a "+" is guessed about.
    ['Apache-2.0 WITH LLVM-exception', 'not_allowed'],
    ['MIT OR Apache-2.0 WITH LLVM-exception', 'allowed'],
    ['Apache-2.0+', 'not_allowed'],
    ['mit', 'not_allowed'],
    ['UNLICENSED', 'not_allowed'],
    // Two words without an operator are a sentence, not an expression.
    ['SEE LICENSE IN LICENSE.md', 'unreadable'],
    ['MIT ISC', 'unreadable'],
    ['MIT or ISC', 'unreadable'],
    ['', 'unreadable'],
    ['   ', 'unreadable'],
    ['()', 'unreadable'],
    ['(MIT', 'unreadable'],
    ['MIT)', 'unreadable'],
    ['MIT OR', 'unreadable'],
    ['OR MIT', 'unreadable'],
    ['MIT AND OR ISC', 'unreadable'],
    ['MIT WITH', 'unreadable'],
    ['(MIT) WITH LLVM-exception', 'unreadable'],
  ])('reads %j as %s', (expression, verdict) => {
    expect(checkLicence(expression, ALLOWED_LICENCES)).toBe(verdict)
  })

  it('allows a licence with an exception when the list has both words', () => {
    expect(checkLicence('A WITH B', new Set(['A WITH B']))).toBe('allowed')
    expect(checkLicence('A WITH C', new Set(['A WITH B', 'A']))).toBe('not_allowed')
  })
})
