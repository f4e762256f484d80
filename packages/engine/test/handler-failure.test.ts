import { backoffSchema } from '@millrace/contracts'
import { describe, expect, it } from 'vitest'
import { type HandlerFailure, judgeFailure, MAX_RETRY_AFTER_MS } from '../src/index.ts'

const policy = { retries: 2, retryDelayMs: 100, backoff: backoffSchema.parse({ jitter: 0 }) }
const failed: HandlerFailure = { reason: 'worker_failed', error: 'Error: no' }

describe('what a handler threw', () => {
  it.each<[string, HandlerFailure, number, Record<string, unknown>]>([
    ['is tried again', failed, 1, { kind: 'retry', delayMs: 100, reason: 'worker_failed' }],
    ['waits longer each time', failed, 2, { kind: 'retry', delayMs: 200 }],
    ['is final when no retry is left', failed, 3, { kind: 'dead', reason: 'worker_failed' }],
    ['is final when it says so', { ...failed, reason: 'no_retry' }, 1, { kind: 'dead', reason: 'no_retry' }],
    ['is tried again after a timeout', { ...failed, reason: 'timeout' }, 1, { kind: 'retry', reason: 'timeout' }],
    ['ends a cancelled job', { ...failed, reason: 'cancelled' }, 1, { kind: 'cancelled' }],
    ['waits as long as it asks for', { ...failed, retryAfterMs: 5000 }, 1, { kind: 'retry', delayMs: 5000 }],
    ['waits no shorter than the backoff', { ...failed, retryAfterMs: 5 }, 2, { kind: 'retry', delayMs: 200 }],
    [
      'that does not count is put off, however often',
      { ...failed, retryAfterMs: 5, counts: false },
      99,
      { kind: 'postpone', delayMs: 5, pausesQueue: false },
    ],
    [
      'waits a day at most',
      { ...failed, retryAfterMs: 1e12, counts: false },
      1,
      { kind: 'postpone', delayMs: MAX_RETRY_AFTER_MS },
    ],
  ])('%s', (_name, failure, attempt, outcome) => {
    expect(judgeFailure(failure, { attempt, policy, random: 0 })).toMatchObject(outcome)
  })

  it('is kept up to 4 KiB', () => {
    const { lastResponse } = judgeFailure({ ...failed, error: 'x'.repeat(9000) }, { attempt: 1, policy, random: 0 })
    expect(lastResponse.error).toHaveLength(4096)
  })
})
