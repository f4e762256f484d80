import { describe, expect, it } from 'vitest'
import { together } from '../src/together.ts'

describe('together', () => {
  it('puts off until all have come, in their order, and those that come meanwhile until the next time', () => {
    const runs: (() => void)[] = []
    const done: number[] = []
    const soon = together<number>(
      (run) => runs.push(run),
      (item) => {
        done.push(item)
        if (item < 10) soon(item + 10)
      },
    )
    soon(1)
    soon(2)
    expect([runs.length, done]).toEqual([1, []])
    runs[0]?.()
    expect([runs.length, done]).toEqual([2, [1, 2]])
    runs[1]?.()
    expect([runs.length, done]).toEqual([2, [1, 2, 11, 12]])
  })
})
