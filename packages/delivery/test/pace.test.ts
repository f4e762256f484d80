import { describe, expect, it } from 'vitest'
import { Pace } from '../src/pace.ts'

/** A pace of two attempts each ms, so that what it says is twice the time it looks ahead. */
function twoEachMs() {
  let nowMs = 1000
  const pace = new Pace(() => nowMs)
  return {
    pace,
    aheadMs(attempts = 20) {
      for (let n = 0; n < attempts; n++) pace.ended()
      nowMs += 10
      return pace.ahead() / 2
    },
  }
}

describe('how far ahead jobs are claimed', () => {
  it('is a few ms while turns are quick, and none where nothing ends', () => {
    const { pace, aheadMs } = twoEachMs()
    expect(pace.ahead()).toBe(0)
    expect(aheadMs()).toBe(5)
    pace.turned(1)
    expect(aheadMs()).toBe(5)
    expect(aheadMs(0)).toBe(0)
  })

  it('is three turns where they take long, and twenty-five ms at most', () => {
    const { pace, aheadMs } = twoEachMs()
    pace.turned(6)
    expect(aheadMs()).toBe(18)
    pace.turned(2000)
    expect(aheadMs()).toBe(25)
  })

  it('follows a longer turn at once and shorter ones by and by', () => {
    const { pace, aheadMs } = twoEachMs()
    pace.turned(6)
    pace.turned(1)
    expect(aheadMs()).toBeGreaterThan(15)
    pace.turned(7)
    expect(aheadMs()).toBe(21)
    for (let n = 0; n < 30; n++) pace.turned(1)
    expect(aheadMs()).toBe(5)
  })

  it('forgets a turn that waited for Redis within a dozen', () => {
    const { pace, aheadMs } = twoEachMs()
    pace.turned(60_000)
    for (let n = 0; n < 16; n++) pace.turned(1)
    expect(aheadMs()).toBeLessThan(8)
  })
})
