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
    ['a list, whose last one repeats', { type: 'list', delaysMs: [100, 2000, 7] }, [100, 2000, 7, 7]],
  ])('grows as %s', (_name, overrides, expected) => {
    const delays = [1, 2, 3, 4].map((retry) =>
      retryDelay({ backoff: backoff(overrides), retryDelayMs: 5000, retry, random: 0.5 }),
    )
    expect(delays).toEqual(expected)
  })

  it('stays within [d × (1 − jitter), d], is never negative, never beyond the cap, for any policy', () => {
    const policies = fc.record({
      type: fc.constantFrom('exponential', 'linear', 'fixed', 'list'),
      delaysMs: fc.array(fc.integer({ min: 0, max: 86_400_000 }), { minLength: 1, maxLength: 5 }),
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
  const response = (status: number, headers = {}, body = '{"success":false}') => ({
    kind: 'response' as const,
    status,
    headers,
    body,
    truncated: false,
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

  it.each([
    [202, { 'x-job-lease': '30' }, { kind: 'leased', leaseMs: 30_000 }],
    [202, {}, { kind: 'succeeded' }],
    [202, { 'x-job-lease': '0' }, { kind: 'succeeded' }],
    [202, { 'x-job-lease': 'soon' }, { kind: 'succeeded' }],
    [202, { 'x-job-lease': '86401' }, { kind: 'succeeded' }],
    [200, { 'x-job-lease': '30' }, { kind: 'succeeded' }],
  ])('%i with %j is %j', (status, headers, expected) => {
    expect(classify(response(status, headers), context)).toMatchObject(expected)
  })

  describe('with a response policy table', () => {
    const onStatus = {
      '409,412': 'complete',
      '422': 'dead',
      '429': 'postpone',
      '503': 'pause',
      '4xx': 'retry',
      timeout: 'dead',
      network: 'postpone',
    } as const
    const withTable = { ...context, policy: { ...policy, onStatus } }
    it.each([
      [409, { kind: 'succeeded', status: 409 }],
      [412, { kind: 'succeeded', status: 412 }],
      [422, { kind: 'dead' }],
      [429, { kind: 'postpone', pausesQueue: false, delayMs: 1000 }],
      [503, { kind: 'postpone', pausesQueue: true }],
      [404, { kind: 'retry' }],
      [489, { kind: 'retry' }],
      [500, { kind: 'retry' }],
      [200, { kind: 'succeeded' }],
    ])('%i is what the table says, a status before its class', (status, expected) => {
      expect(classify(response(status), withTable)).toMatchObject(expected)
    })

    it('postpones without counting, however often', () => {
      expect(classify(response(429), { ...withTable, attempt: 99 })).toMatchObject({ kind: 'postpone' })
    })

    it('tells a timeout from a request that got nowhere', () => {
      expect(classify({ kind: 'failed', reason: 'timeout', error: '' }, withTable).kind).toBe('dead')
      expect(classify({ kind: 'failed', reason: 'dns', error: '' }, withTable).kind).toBe('postpone')
    })
  })

  describe('the result', () => {
    const json = { 'content-type': 'application/json; charset=utf-8' }
    it('is the JSON that the endpoint answered, as it came', () => {
      expect(classify(response(200, json, '{"n":9007199254740993}'), context)).toMatchObject({
        result: '{"n":9007199254740993}',
      })
    })
    it.each([
      ['text', { 'content-type': 'text/plain' }, 'ok', false],
      ['no JSON after all', json, 'ok', false],
      ['nothing', json, '', false],
      ['cut off', json, '{}', true],
      ['too large', json, `"${'x'.repeat(65_536)}"`, false],
    ])('is not kept when it is %s', (_name, headers, body, truncated) => {
      expect(classify({ ...response(200, headers, body), truncated }, context)).toEqual({
        kind: 'succeeded',
        status: 200,
      })
    })
  })

  it('keeps 4 KiB of the body of a failure', () => {
    const outcome = classify(response(500, {}, 'x'.repeat(10_000)), context)
    expect(outcome.kind === 'retry' && outcome.lastResponse.body).toHaveLength(4096)
  })

  it('of a request that was cancelled is cancelled, whatever the table says', () => {
    const context = { attempt: 1, policy: { ...policy, onStatus: { network: 'retry' } as const }, nowMs: 0, random: 0 }
    expect(classify({ kind: 'failed', reason: 'cancelled', error: 'by ada' }, context).kind).toBe('cancelled')
  })
})
