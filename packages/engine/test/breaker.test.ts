import { describe, expect, it } from 'vitest'
import { allowance, awaken, type Breaker, CLOSED, healthOf, observe } from '../src/index.ts'

type Health = ReturnType<typeof healthOf>
const after = (breaker: Breaker, results: readonly Health[], nowMs = 0) =>
  results.reduce((state, health) => observe(state, health, nowMs), breaker)
const times = (count: number, health: Health) => Array.from({ length: count }, () => health)
const opened = after(CLOSED, times(5, 'refused'))
const probing = awaken(opened, 1000)

describe('a circuit breaker', () => {
  it('opens after five requests in a row that could not connect', () => {
    expect(after(CLOSED, times(4, 'refused')).kind).toBe('closed')
    expect(opened).toMatchObject({ kind: 'open', untilMs: 1000 })
    expect(after(CLOSED, [...times(4, 'refused'), 'healthy', ...times(4, 'refused')]).kind).toBe('closed')
  })

  it('opens when half of the last twenty got no usable answer, of ten at least', () => {
    expect(after(CLOSED, times(9, 'unhealthy')).kind).toBe('closed')
    expect(after(CLOSED, times(10, 'unhealthy')).kind).toBe('open')
    expect(after(CLOSED, [...times(20, 'healthy'), ...times(9, 'unhealthy')]).kind).toBe('closed')
    expect(after(CLOSED, [...times(20, 'healthy'), ...times(10, 'unhealthy')]).kind).toBe('open')
  })

  it('lets nothing out while open, one probe after the pause', () => {
    expect(allowance(opened)).toBe(0)
    expect(awaken(opened, 999)).toBe(opened)
    expect(allowance(probing)).toBe(1)
  })

  it('pauses twice as long after each failed probe, up to a minute, and remembers since when', () => {
    let breaker: Breaker = opened
    const pauses: number[] = []
    for (let round = 0; round < 8; round++) {
      if (breaker.kind !== 'open') throw new Error('expected it to be open')
      pauses.push(breaker.pauseMs)
      breaker = observe(awaken(breaker, breaker.untilMs), 'refused', breaker.untilMs)
    }
    expect(pauses).toEqual([1000, 2000, 4000, 8000, 16_000, 32_000, 60_000, 60_000])
    expect(breaker).toMatchObject({ sinceMs: 0 })
  })

  it('closes with a ramp that doubles with each healthy answer and then is gone', () => {
    let breaker = observe(probing, 'healthy', 0)
    const ramp: number[] = []
    for (; Number.isFinite(allowance(breaker)); breaker = observe(breaker, 'healthy', 0)) ramp.push(allowance(breaker))
    expect(ramp).toEqual([1, 2, 4, 8, 16, 32, 64, 128])
  })

  it('is not moved by late answers while it is open, nor by requests that we ended', () => {
    expect(after(opened, ['healthy', 'refused'])).toBe(opened)
    expect(observe(CLOSED, 'unknown', 0)).toBe(CLOSED)
  })
})

describe('the health of an endpoint', () => {
  const response = (status: number) => ({ kind: 'response' as const, status, headers: {}, body: '', truncated: false })
  it.each([
    [200, 'healthy'],
    [404, 'healthy'],
    [500, 'healthy'],
    [502, 'unhealthy'],
    [503, 'unhealthy'],
    [504, 'unhealthy'],
  ])('after %i is %s', (status, expected) => {
    expect(healthOf(response(status))).toBe(expected)
  })
  it.each([
    ['connection_refused', 'refused'],
    ['dns', 'refused'],
    ['tls', 'refused'],
    ['timeout', 'unhealthy'],
    ['connection_reset', 'unhealthy'],
    ['incomplete_response', 'unhealthy'],
    ['cancelled', 'unknown'],
  ] as const)('after %s is %s', (reason, expected) => {
    expect(healthOf({ kind: 'failed', reason, error: '' })).toBe(expected)
  })
})
