import { describe, expect, it } from 'vitest'
import { untilBeat } from '../src/beat.ts'

const PAUSES = [500, 700, 999, 1000, 2000, 5000, 30_000]
/** Any moments of a process's clock. */
const MOMENTS = Array.from({ length: 400 }, (_, index) => index * 137.31)

describe('a pause', () => {
  it.each(PAUSES)('of %i ms is never longer, and never less than half', (pauseMs) => {
    const pauses = MOMENTS.map((nowMs) => untilBeat(pauseMs, nowMs))
    expect(Math.max(...pauses)).toBeLessThanOrEqual(pauseMs)
    expect(Math.min(...pauses)).toBeGreaterThanOrEqual(pauseMs / 2)
  })

  it.each([0, 1, 20, 250, 499])('of %i ms is as long as was asked for', (pauseMs) => {
    expect(new Set(MOMENTS.map((nowMs) => untilBeat(pauseMs, nowMs)))).toEqual(new Set([pauseMs]))
  })

  it('ends when those of other duties do that began a little earlier or later', () => {
    const ends = (from: number[]) => new Set(from.map((nowMs) => Math.round(nowMs + untilBeat(1000, nowMs))))
    expect(ends([7010, 7099, 7250.5, 7499])).toEqual(new Set([8000]))
    expect(ends([7510, 7600, 7999])).toEqual(new Set([8500]))
  })

  it('goes on at its own pace once it is on a beat, however long its duty takes of it', () => {
    let nowMs = 4321
    const ends: number[] = []
    for (const takesMs of [3, 40, 200, 1, 499]) {
      nowMs += untilBeat(2000, nowMs)
      ends.push(nowMs)
      nowMs += takesMs
    }
    expect(ends).toEqual([6000, 8000, 10_000, 12_000, 14_000])
  })
})
