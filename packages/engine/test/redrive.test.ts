import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { afterTaking, afterWatching, nextMove, type RedriveState } from '../src/index.ts'

const begin = (more: Partial<RedriveState> = {}): RedriveState => ({
  id: 'r',
  state: 'running',
  filter: { namespace: 'shop', queue: 'mail' },
  redriven: 0,
  lookedAt: 0,
  startedAt: '2026-01-01T00:00:00.000Z',
  who: 'ada',
  after: '',
  upTo: '9-9',
  exhausted: false,
  nextAtMs: 0,
  ...more,
})
const canary = (failureShare: number): Pick<RedriveState, 'canary'> => ({
  canary: { failureShare, step: 'first', taken: 0, died: 0, waitingFor: [] },
})
const ids = (count: number, from = 0) => Array.from({ length: count }, (_, n) => `j${from + n}`)
const take = (state: RedriveState, taken: string[], { nowMs = 0, exhausted = false } = {}) =>
  afterTaking(state, { ids: taken, lookedAt: taken.length, after: '1-1', exhausted, nowMs })

describe('a redrive', () => {
  it('without rate or canary takes as many as a script call may, until nothing is left', () => {
    expect(nextMove(begin(), 0)).toEqual({ kind: 'take', atMost: 100 })
    const over = take(begin(), ids(3), { exhausted: true })
    expect(nextMove(over, 5)).toMatchObject({
      kind: 'end',
      next: { state: 'finished', redriven: 3, lookedAt: 3, endedAt: '1970-01-01T00:00:00.005Z' },
    })
  })

  it('takes no more than its limit', () => {
    const state = begin({ limit: 5 })
    expect(nextMove(state, 0)).toEqual({ kind: 'take', atMost: 5 })
    expect(nextMove(take(state, ids(5)), 0)).toMatchObject({ kind: 'end', next: { state: 'finished' } })
  })

  it('never goes faster than its rate, whatever it was kept up by', () => {
    const rate = fc.double({ min: 0.5, max: 5000, noNaN: true })
    const pauses = fc.array(fc.integer({ min: 0, max: 5000 }), { maxLength: 50 })
    fc.assert(
      fc.property(rate, pauses, (ratePerSecond, steps) => {
        let state = begin({ ratePerSecond })
        let nowMs = 1_000_000
        for (const pauseMs of steps) {
          nowMs += pauseMs
          const move = nextMove(state, nowMs)
          if (move.kind === 'take') state = take(state, ids(move.atMost), { nowMs })
          expect(state.redriven).toBeLessThanOrEqual(1 + (ratePerSecond * (nowMs - 1_000_000)) / 1000 + 1e-6)
        }
      }),
    )
  })

  it('makes up for a stall by a second at most', () => {
    const state = take(begin({ ratePerSecond: 10 }), ids(1), { nowMs: 1000 })
    expect(nextMove(state, 1001)).toMatchObject({ kind: 'wait', ms: 99 })
    expect(nextMove(state, 3_600_000)).toEqual({ kind: 'take', atMost: 11 })
  })
})

describe('a canary', () => {
  it('takes one, then ten, then the rest, each after the end of those before', () => {
    let state = begin(canary(0.5))
    expect(nextMove(state, 0)).toEqual({ kind: 'take', atMost: 1 })
    state = take(state, ids(1))
    expect(nextMove(state, 0)).toEqual({ kind: 'watch', ids: ['j0'] })
    expect(afterWatching(state, { died: [], ended: [] })).toBe(state)
    state = afterWatching(state, { died: [], ended: ['j0'] })
    expect(nextMove(state, 0)).toEqual({ kind: 'take', atMost: 10 })
    state = take(state, ids(4, 1))
    expect(nextMove(state, 0), 'the search stopped half way').toEqual({ kind: 'take', atMost: 6 })
    state = take(state, ids(6, 5))
    state = afterWatching(state, { died: ['j1', 'j2'], ended: ids(3, 3) })
    expect(nextMove(state, 0)).toEqual({ kind: 'watch', ids: ids(5, 6) })
    state = afterWatching(state, { died: ['j6', 'j7', 'j8'], ended: ['j9', 'j10'] })
    expect(nextMove(state, 0), 'half of ten is not more than half').toEqual({ kind: 'take', atMost: 100 })
    expect(take(state, ids(3, 11)).canary).toMatchObject({ step: 'rest', taken: 0 })
  })

  it('stops as soon as too many died, and waits for no other', () => {
    expect(nextMove(afterWatching(take(begin(canary(0.5)), ids(1)), { died: ['j0'], ended: [] }), 0)).toMatchObject({
      kind: 'end',
      next: { state: 'stopped', stopped: { who: 'millrace', why: 'the first job died again' } },
    })
    const second = take(begin({ canary: { ...canary(0.2).canary!, step: 'ten' } }), ids(10))
    const state = afterWatching(second, { died: ['j0', 'j1', 'j2'], ended: [] })
    expect(nextMove(state, 0)).toMatchObject({ kind: 'end', next: { state: 'stopped' } })
  })

  it('is judged as well when nothing is left after a step', () => {
    const state = take(begin(canary(0.5)), ids(1), { exhausted: true })
    expect(nextMove(state, 0)).toMatchObject({ kind: 'watch' })
    expect(nextMove(afterWatching(state, { died: ['j0'], ended: [] }), 0)).toMatchObject({ next: { state: 'stopped' } })
    expect(nextMove(afterWatching(state, { died: [], ended: ['j0'] }), 0)).toMatchObject({
      next: { state: 'finished' },
    })
  })

  it('goes on at the rate', () => {
    const state = afterWatching(
      take(begin({ ratePerSecond: 10, canary: { ...canary(0.5).canary!, step: 'ten' } }), ids(10)),
      { died: [], ended: ids(10) },
    )
    expect(nextMove(state, 1000)).toEqual({ kind: 'take', atMost: 1 })
    expect(nextMove(take(state, ['k'], { nowMs: 1000 }), 1050)).toEqual({ kind: 'wait', ms: 50 })
  })
})
