import { backoffSchema } from '@millrace/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { classify, MAX_RETRY_AFTER_MS, parseRetryAfter, retryDelay } from '../src/index.ts'

const backoff = (overrides = {}) => backoffSchema.parse({ jitter: 0, ...overrides })

describe('the wait before a retry', () => {
  it.each([
    ['exponential', {}, [5000, 10_000, 20_000, 40_000]],
    ['exponential, factor 3', { factor: 3 }, [5000, 15_000, 45_000, 135_000]],
    ['exponential, capped', { maxDelayMs: 12_000 }, [5000, 10_000, 12_000, 12_000]],
    ['linear', { type: 'linear' }, [5000, 10_000, 15_000, 20_000]],
    ['fixed', { type: 'fixed' }, [5000, 5000, 5000, 5000]],
  ])('grows as %s', (_name, overrides, expected) => {
    const delays = [1, 2, 3, 4].map((retry) =>
      retryDelay({ backoff: backoff(overrides), retryDelayMs: 5000, retry, random: 0.5 }),
    )
    expect(delays).toEqual(expected)
  })

  it('stays within [d × (1 − jitter), d], is never negative, never beyond the cap, for any policy', () => {
    const policies = fc.record({
      type: fc.constantFrom('exponential', 'linear', 'fixed'),
      factor: fc.double({ min: 1, max: 10, noNaN: true }),
      maxDelayMs: fc.integer({ min: 0, max: 86_400_000 }),
      jitter: fc.double({ min: 0, max: 1, noNaN: true }),
    })
    fc.assert(
      fc.property(
        policies,
        fc.integer({ min: 0, max: 86_400_000 }),
        fc.integer({ min: 1, max: 1001 }),
        fc.double({ min: 0, max: 0.999, noNaN: true }),
        (policy, retryDelayMs, retry, random) => {
          const parsed = backoffSchema.parse(policy)
          const delay = retryDelay({ backoff: parsed, retryDelayMs, retry, random })
          const unjittered = retryDelay({ backoff: { ...parsed, jitter: 0 }, retryDelayMs, retry, random })
          expect(Number.isInteger(delay)).toBe(true)
          expect(delay).toBeGreaterThanOrEqual(Math.floor(unjittered * (1 - parsed.jitter)))
          expect(delay).toBeLessThanOrEqual(Math.min(unjittered, parsed.maxDelayMs))
        },
      ),
    )
  })

  it('of nothing stays nothing, however often the factor was applied', () => {
    const delay = retryDelay({ backoff: backoff({ factor: 10 }), retryDelayMs: 0, retry: 400, random: 0.5 })
    expect(delay).toBe(0)
  })

  it('is Retry-After when that is longer, and the backoff when it is not', () => {
    const input = { backoff: backoff(), retryDelayMs: 5000, retry: 1, random: 0 }
    expect(retryDelay({ ...input, retryAfterMs: 60_000 })).toBe(60_000)
    expect(retryDelay({ ...input, retryAfterMs: 1000 })).toBe(5000)
    expect(retryDelay({ ...input, retryAfterMs: 9e12 })).toBe(MAX_RETRY_AFTER_MS)
  })
})

describe('Retry-After', () => {
  const now = Date.parse('2026-11-21T12:00:00Z')
  it.each([
    ['120', 120_000],
    [' 0 ', 0],
    ['Sat, 21 Nov 2026 12:00:30 GMT', 30_000],
    ['Sat, 21 Nov 2026 11:00:00 GMT', 0],
    ['soon', undefined],
    ['-5', undefined],
    ['5 apples', undefined],
    ['1e9', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%j is %j ms', (value, expected) => {
    expect(parseRetryAfter(value, now)).toBe(expected)
  })
})

describe('classification', () => {
  const policy = { retries: 3, retryDelayMs: 1000, backoff: backoff() }
  const context = { attempt: 1, policy, nowMs: 0, random: 0 }
  const response = (status: number, headers = {}) => ({
    kind: 'response' as const,
    status,
    headers,
    body: '{"success":false}',
  })

  it.each([200, 201, 202, 204, 299])('%i completes, whatever the body says', (status) => {
    expect(classify(response(status), context)).toEqual({ kind: 'succeeded', status })
  })

  it.each([
    [301, 'redirect'],
    [304, 'redirect'],
    [400, 'http_status'],
    [404, 'http_status'],
    [429, 'http_status'],
    [500, 'http_status'],
    [503, 'http_status'],
  ])('%i is a failed attempt (%s)', (status, reason) => {
    expect(classify(response(status), context)).toMatchObject({
      kind: 'retry',
      reason,
      delayMs: 1000,
      lastResponse: { status },
    })
  })

  it('makes at most 4 requests for 3 retries', () => {
    const kinds = [1, 2, 3, 4].map((attempt) => classify(response(500), { ...context, attempt }).kind)
    expect(kinds).toEqual(['retry', 'retry', 'retry', 'dead'])
  })

  it('gives up at once when the endpoint says so', () => {
    expect(classify(response(489), context)).toMatchObject({ kind: 'dead', reason: 'no_retry' })
    expect(classify(response(500, { 'x-no-retry': '1' }), context)).toMatchObject({ kind: 'dead', reason: 'no_retry' })
    expect(classify(response(200, { 'x-no-retry': '1' }), context).kind).toBe('succeeded')
  })

  it('waits for Retry-After when it is longer than the backoff', () => {
    expect(classify(response(503, { 'retry-after': '30' }), context)).toMatchObject({ kind: 'retry', delayMs: 30_000 })
  })

  it('keeps the error of a request that got no response', () => {
    const outcome = classify(
      { kind: 'failed', reason: 'connection_refused', error: 'connect ECONNREFUSED' },
      { ...context, attempt: 4 },
    )
    expect(outcome).toEqual({
      kind: 'dead',
      reason: 'connection_refused',
      lastResponse: { error: 'connect ECONNREFUSED' },
    })
  })
})
