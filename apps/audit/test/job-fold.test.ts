import { formatId, type LogEvent } from '@millrace/contracts'
import { readFact } from '@millrace/engine'
import { describe, expect, it } from 'vitest'
import { evolveJob } from '../src/read-models/job.ts'
import type { JobRow } from '../src/store/schema.ts'

const ENQUEUED_MS = 1767225600000
const ID = formatId({ prefix: 'job', ms: ENQUEUED_MS, seq: 0, partition: 0 })

function entry(type: string, data: unknown, afterMs = 0) {
  const event: LogEvent = {
    position: `${ENQUEUED_MS + afterMs}-0`,
    endsEntry: true,
    partition: 0,
    kind: 'job',
    type,
    namespace: 'shop',
    queue: 'send-mail',
    entityId: ID,
    data: typeof data === 'string' ? data : JSON.stringify(data),
  }
  return { event, fact: readFact(event) }
}

const fold = (...entries: ReturnType<typeof entry>[]) =>
  entries.reduce<JobRow | undefined>((job, next) => evolveJob(job, next), undefined)

const ENQUEUED = entry('job.enqueued', { lane: 'normal', data: { id: 7 } })
const STARTED = entry('job.started', { attempt: 1, epoch: 1, consumer: 'd-1' }, 10)
const FAILED = entry('job.attempt_failed', { attempt: 1, reason: 'timeout', nextAttemptAtMs: ENQUEUED_MS + 5000 }, 20)
const DEAD = entry('job.dead_lettered', { attempts: 4, reason: 'http_status' }, 30)
const REDRIVEN = entry('job.redriven', { who: 'ann' }, 40)

describe('the state of a job', () => {
  it.each([
    ['waits once enqueued', [ENQUEUED], { state: 'waiting', attempts: 0, next_attempt_at_ms: null }],
    [
      'is scheduled when it is due later',
      [entry('job.enqueued', { lane: 'low', dueAtMs: 1767225609999, data: 1 })],
      { state: 'scheduled', next_attempt_at_ms: 1767225609999 },
    ],
    ['runs once started', [ENQUEUED, STARTED], { state: 'running', attempts: 1 }],
    [
      'is scheduled after an attempt that failed',
      [ENQUEUED, STARTED, FAILED],
      { state: 'scheduled', reason: 'timeout', next_attempt_at_ms: ENQUEUED_MS + 5000 },
    ],
    [
      'waits again once its time has come',
      [ENQUEUED, STARTED, FAILED, entry('job.ready', { lane: 'normal' }, 5000)],
      { state: 'waiting', next_attempt_at_ms: null, attempts: 1 },
    ],
    [
      'has succeeded, and no reason is left of earlier failures',
      [ENQUEUED, STARTED, FAILED, entry('job.succeeded', { attempt: 2, status: 200 }, 6000)],
      { state: 'succeeded', attempts: 2, reason: null, finished_at_ms: ENQUEUED_MS + 6000 },
    ],
    [
      'is dead with the reason',
      [ENQUEUED, STARTED, entry('job.attempt_failed', { attempt: 4, reason: 'timeout' }), DEAD],
      { state: 'dead', attempts: 4, reason: 'http_status', finished_at_ms: ENQUEUED_MS + 30 },
    ],
    [
      'waits afresh when redriven',
      [ENQUEUED, STARTED, DEAD, REDRIVEN],
      { state: 'waiting', attempts: 0, reason: null, finished_at_ms: null },
    ],
    ['expired', [ENQUEUED, entry('job.expired', { expiresAtMs: 1 }, 50)], { state: 'expired' }],
    [
      'still runs when taken over',
      [ENQUEUED, STARTED, entry('job.taken_over', { attempt: 1 }, 60)],
      { state: 'running' },
    ],
    [
      'runs when only its takeover was ever seen',
      [entry('job.taken_over', { attempt: 2 })],
      { state: 'running', attempts: 2 },
    ],
  ])('%s', (_name, entries, expected) => {
    expect(fold(...entries)).toMatchObject({ id: ID, queue: 'send-mail', enqueued_at_ms: ENQUEUED_MS, ...expected })
  })

  it('does not change with a late outcome or with an event that is not known', () => {
    const job = fold(ENQUEUED, STARTED)
    expect(evolveJob(job, entry('job.late', { outcome: 'succeeded' }, 99))).toBe(job)
    expect(evolveJob(job, entry('job.progressed', { percent: 3 }, 99))).toBe(job)
    expect(evolveJob(undefined, entry('job.late', {}))).toBeUndefined()
  })

  it.each(['', 'not json', '[]', 'null', '7', '{"attempt":"2","attempts":1.5,"dueAtMs":1e300,"reason":{}}'])(
    'takes %s as the data of any event without failing',
    (data) => {
      for (const type of ['job.enqueued', 'job.started', 'job.attempt_failed', 'job.dead_lettered', 'job.redriven']) {
        expect(evolveJob(fold(ENQUEUED), entry(type, data))).toMatchObject({ attempts: 0, reason: null })
      }
    },
  )
})
