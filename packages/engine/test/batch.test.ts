import { manifestQueueSchema, type QueueDefinition } from '@millrace/contracts'
import { headersIn } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import { type AttemptResult, buildBatch, classify, readBatchAnswer } from '../src/index.ts'

const definition: QueueDefinition = {
  kind: 'queue',
  ...manifestQueueSchema.parse({
    name: 'mail',
    endpoint: '/internal/mail',
    timeoutMs: 7000,
    concurrency: 9,
    batch: { maxSize: 9 },
  }),
}
const job = (n: number, data = '{}') => ({
  id: `job_${n}`,
  attempt: 2,
  maxAttempts: 4,
  epoch: 3,
  token: `token-${n}`,
  data,
})

const answer = (body: unknown, overrides = {}): AttemptResult => ({
  kind: 'response',
  status: 200,
  headers: { 'content-type': 'application/json' },
  body: typeof body === 'string' ? body : JSON.stringify(body),
  truncated: false,
  ...overrides,
})
const policy = { retries: 3, retryDelayMs: 100, backoff: definition.backoff }
const outcomes = (result: AttemptResult, ids = ['job_1', 'job_2'], overrides = {}) =>
  readBatchAnswer(result, ids).results.map((each) =>
    classify(each, { attempt: 1, policy: { ...policy, ...overrides }, nowMs: 0, random: 0 }),
  )

describe('the request of a batch', () => {
  it('has each payload byte for byte, with what is said of its job alone, and no header of a single job', () => {
    const payload = '{"b":12345678901234567890, "a":"\\u00e9","a":1.0}'
    const context = { definition, id: 'batch_7', nowMs: 5500 }
    const { id, timestamp, lines, body } = buildBatch([job(1, payload), job(2, 'null')], context)
    expect({ id, timestamp }).toEqual({ id: 'batch_7', timestamp: '5' })
    expect(body).toContain(`"data":${payload}}`)
    expect(JSON.parse(body)).toEqual({
      queue: 'mail',
      jobs: [1, 2].map((n) => ({
        jobId: `job_${n}`,
        attempt: 2,
        maxAttempts: 4,
        epoch: 3,
        token: `token-${n}`,
        traceparent: `00-${String(n).padStart(32, '0')}-0000000000000003-01`,
        data: JSON.parse(n === 1 ? payload : 'null'),
      })),
    })
    expect(headersIn(lines)).toEqual({
      'content-type': 'application/json',
      'webhook-id': 'batch_7',
      'webhook-timestamp': '5',
      'x-batch-size': '2',
      'x-deadline-ms': '7000',
    })
  })

  it("hands on the producer's trace", () => {
    const traceparent = '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01'
    const { body } = buildBatch([{ ...job(1), traceparent }], { definition, id: 'batch_7', nowMs: 0 })
    expect(JSON.parse(body).jobs[0].traceparent).toBe(traceparent)
  })

  it('has the trace of the request in its headers, where it has one', () => {
    const trace = { traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01', tracestate: 'a=1' }
    const { lines } = buildBatch([job(1)], { definition, id: 'batch_7', nowMs: 0, trace })
    expect(headersIn(lines)).toMatchObject(trace)
    const bad = () => buildBatch([job(1)], { definition, id: 'batch_7', nowMs: 0, trace: { tracestate: 'a\r\nb: c' } })
    expect(bad).toThrow('the header tracestate has a character that no header can carry')
  })
})

describe('the answer to a batch', () => {
  it('gives each job its own outcome, whatever the order', () => {
    const results = [
      { jobId: 'job_4', status: 422, error: 'no such account' },
      { jobId: 'job_3', status: 503, retryAfterMs: 4321 },
      { jobId: 'job_2', status: 500, noRetry: true },
      { jobId: 'job_1', status: 201, result: { id: 7 } },
      { jobId: 'job_5', status: 202, leaseSeconds: 9 },
      { jobId: 'job_6', status: 202, leaseSeconds: 0.5 },
    ]
    const ids = ['job_1', 'job_2', 'job_3', 'job_4', 'job_5', 'job_6']
    expect(outcomes(answer({ results }), ids, { onStatus: { 422: 'dead' } })).toMatchObject([
      { kind: 'succeeded', status: 201, result: '{"id":7}' },
      { kind: 'dead', reason: 'no_retry', lastResponse: { status: 500 } },
      { kind: 'retry', delayMs: 4321, reason: 'http_status' },
      { kind: 'dead', reason: 'http_status', lastResponse: { status: 422, body: JSON.stringify(results[0]) } },
      { kind: 'leased', leaseMs: 9000 },
      { kind: 'succeeded', status: 202 },
    ])
  })

  it('keeps a result byte for byte', () => {
    const text = '{"results": [ {"jobId":"job_1", "status":200, "result": {"n":9007199254740993, "n":1e2} } ]}'
    expect(outcomes(answer(text), ['job_1'])).toMatchObject([{ result: '{"n":9007199254740993, "n":1e2}' }])
  })

  it('makes no result of an entry that is complete only by the policy table', () => {
    const [outcome] = outcomes(answer({ results: [{ jobId: 'job_1', status: 409 }] }), ['job_1'], {
      onStatus: { 409: 'complete' },
    })
    expect(outcome).toEqual({ kind: 'succeeded', status: 409 })
  })

  it('fails a job that it omits, and no other', () => {
    const [first, second] = outcomes(answer({ results: [{ jobId: 'job_2', status: 200 }] }))
    expect(first).toMatchObject({
      kind: 'retry',
      reason: 'no_result',
      lastResponse: { status: 200, error: 'the answer to the batch has no result for this job' },
    })
    expect(second).toEqual({ kind: 'succeeded', status: 200 })
  })

  it('takes the first of several results of a job, and counts what it passes over', () => {
    const results = [
      { jobId: 'job_1', status: 200 },
      { jobId: 'job_1', status: 500 },
      { jobId: 'job_9', status: 200 },
      null,
      3,
    ]
    const read = readBatchAnswer(answer({ results }), ['job_1'])
    expect(read.ignored).toBe(4)
    expect(read.results).toMatchObject([{ kind: 'response', status: 200 }])
  })

  it.each([
    ['nothing', '', 'the answer to the batch is not JSON'],
    ['text', 'OK', 'the answer to the batch is not JSON'],
    ['null', 'null', 'the answer to the batch has no list of results'],
    ['no list', '{"success":true}', 'the answer to the batch has no list of results'],
    ['a list that is none', '{"results":{"job_1":200}}', 'the answer to the batch has no list of results'],
    ['a bare list', '[{"jobId":"job_1","status":200}]', 'the answer to the batch has no list of results'],
    [
      'a status in words',
      '{"results":[{"jobId":"job_1","status":"ok"}]}',
      'the result of this job has no status from 200 to 599',
    ],
    ['no status', '{"results":[{"jobId":"job_1"}]}', 'the result of this job has no status from 200 to 599'],
    ['100', '{"results":[{"jobId":"job_1","status":100}]}', 'the result of this job has no status from 200 to 599'],
  ])('fails every job with no_result when a 2xx says %s', (_name, body, error) => {
    expect(outcomes(answer(body), ['job_1'])).toMatchObject([
      { kind: 'retry', reason: 'no_result', lastResponse: { error } },
    ])
  })

  it('is of no use when it is longer than what is read of one', () => {
    const cut = answer({ results: [{ jobId: 'job_1', status: 200 }] }, { truncated: true })
    expect(outcomes(cut, ['job_1'])).toMatchObject([{ kind: 'retry', reason: 'no_result' }])
  })

  it('is not what the policy table calls network', () => {
    expect(outcomes(answer('OK'), ['job_1'], { onStatus: { network: 'dead', timeout: 'dead' } })).toMatchObject([
      { kind: 'retry', reason: 'no_result' },
    ])
  })

  it.each([
    ['503 with Retry-After', 503, { 'retry-after': '60' }, {}, { kind: 'retry', delayMs: 60_000 }],
    ['489', 489, {}, {}, { kind: 'dead', reason: 'no_retry' }],
    ['x-no-retry', 400, { 'x-no-retry': '1' }, {}, { kind: 'dead', reason: 'no_retry' }],
    ['a status of the policy table', 429, {}, { onStatus: { 429: 'postpone' } }, { kind: 'postpone' }],
    ['a redirect', 302, {}, {}, { kind: 'retry', reason: 'redirect' }],
  ])('other than 2xx is said of every job: %s', (_name, status, headers, overrides, expected) => {
    const refused = answer({ results: [{ jobId: 'job_1', status: 200 }] }, { status, headers })
    expect(outcomes(refused, ['job_1', 'job_2'], overrides)).toMatchObject([expected, expected])
  })

  it('that stands for every job is the result of none, and its lease is nobody’s', () => {
    const complete = { onStatus: { 409: 'complete' } as const }
    expect(outcomes(answer({ a: 1 }, { status: 409 }), ['job_1'], complete)).toEqual([
      { kind: 'succeeded', status: 409 },
    ])
    const leased = answer(
      { results: [{ jobId: 'job_1', status: 200 }] },
      { status: 202, headers: { 'x-job-lease': '60' } },
    )
    expect(outcomes(leased, ['job_1'])).toEqual([{ kind: 'succeeded', status: 200 }])
  })

  it('that did not come fails every job for the same reason', () => {
    const failed: AttemptResult = { kind: 'failed', reason: 'timeout', error: 'late' }
    expect(outcomes(failed)).toMatchObject([{ reason: 'timeout' }, { reason: 'timeout' }])
  })
})
