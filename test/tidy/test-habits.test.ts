import { describe, expect, it } from 'vitest'
import { listed, readSources } from './repository.ts'
import { checkTestHabits } from './test-habits.ts'

describe('tests', () => {
  it('run, check something, and wait for events rather than for the clock', () => {
    expect(listed(checkTestHabits(readSources()))).toEqual([])
  })

  it.each([
    ['only', `it.only('works', () => {})`, 'has .only'],
    ['skip behind each', `test.each([1]).skip('works', () => {})`, 'has .skip'],
    ['a describe that is left out', `describe.skip('all', () => {})`, 'has .skip'],
    ['todo', `it.todo('works')`, 'has .todo'],
    ['expect alone', 'expect(1)', 'without a matcher'],
    ['a matcher that is not called', 'await expect(1).resolves.toBe', 'without a matcher'],
    ['expect.soft alone', 'expect.soft(1)', 'without a matcher'],
    ['the promise of a timer', 'await new Promise((resolve) => setTimeout(resolve, 100))', 'sleeps'],
    ['the same in braces', 'await new Promise((done) => { setTimeout(done, 100) })', 'sleeps'],
    ['an imported sleep', `import { setTimeout as sleep } from 'node:timers/promises'`, 'sleeps'],
  ])('are reported for %s', (_name, text, complaint) => {
    const found = listed(checkTestHabits([{ path: 'apps/audit/test/a.test.ts', text: `\n${text}` }]))
    expect(found).toEqual([expect.stringMatching(new RegExp(`^apps/audit/test/a.test.ts:2 .*${complaint}`))])
  })

  it.each([
    ['a check', 'expect(1).toBe(1)'],
    ['a check that is awaited', 'await expect(later).resolves.toBe(1)'],
    ['a count of checks', 'expect.assertions(1)'],
    ['a member with such a name', 'queue.only; list.skip(3)'],
    ['a deadline', 'const timer = setTimeout(() => controller.abort(), 100)'],
    ['a server that answers late', 'setTimeout(() => response.end(), 100)'],
  ])('are left alone for %s', (_name, text) => {
    expect(checkTestHabits([{ path: 'apps/audit/test/a.test.ts', text }])).toEqual([])
  })

  it('may let time pass where that is what they are for, and nowhere else in that folder', () => {
    const text = `import { setTimeout as sleep } from 'node:timers/promises'`
    const found = checkTestHabits(
      ['bench/a.ts', 'test/chaos/faults.ts', 'test/chaos/a.test.ts'].map((path) => ({ path, text })),
    )
    expect(found.map(({ file }) => file)).toEqual(['test/chaos/a.test.ts'])
  })
})
