import type { LogEvent } from '@millrace/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { readFact, wrapEmitted } from '../../src/audit.ts'

const event = (over: Partial<LogEvent>): LogEvent => ({
  position: '1767225600000-0',
  endsEntry: true,
  partition: 0,
  kind: 'job',
  type: 'job.succeeded',
  namespace: 'shop',
  queue: 'send-mail',
  entityId: 'job_1',
  data: '{}',
  ...over,
})

describe('readFact', () => {
  it('gives back what was wrapped, the payload character by character', () => {
    const emitted = {
      who: 'ann',
      why: 'asked',
      where: { ip: '::1' },
      how: { method: 'POST' },
      data: '{ "n": 9007199254740993, "n": 1.0 }',
    }
    expect(readFact(event({ kind: 'audit', data: wrapEmitted(emitted) }))).toMatchObject(emitted)
  })

  it('does so for any payload and any who', () => {
    fc.assert(
      fc.property(fc.json(), fc.string({ unit: 'grapheme', minLength: 1 }), (data, who) => {
        const read = readFact(event({ kind: 'audit', data: wrapEmitted({ who, where: {}, how: {}, data }) }))
        expect(read).toMatchObject({ who, data })
      }),
    )
  })

  it('makes a NUL visible, and cuts names that no index could hold', () => {
    const odd = event({ data: '{"who":"a\\u0000nn"}', entityId: 'job\0', namespace: 'x'.repeat(501) })
    expect(readFact(odd)).toMatchObject({ who: 'a\ufffdnn', entityId: 'job\ufffd', namespace: 'x'.repeat(500) })
    expect(readFact(event({ data: 'not\0json' })).data).toBe('not\ufffdjson')
  })

  it.each([
    ['the dispatcher that started it', { type: 'job.started', data: '{"attempt":1,"consumer":"d-1"}' }, { who: 'd-1' }],
    ['the platform where nobody is named', { data: '{"attempt":1}' }, { who: 'millrace' }],
    [
      'the operator, with the reason',
      { type: 'job.redriven', data: '{"who":"ann","why":"fixed"}' },
      { who: 'ann', why: 'fixed' },
    ],
    [
      'who applied the manifest',
      { kind: 'service', type: 'service.applied', data: '{"who":"ci"}' } as const,
      { who: 'ci' },
    ],
  ])('names %s', (_name, over, expected) => {
    expect(readFact(event(over))).toMatchObject(expected)
  })

  it('says where and how of a platform event: the queue and the kind', () => {
    expect(readFact(event({}))).toMatchObject({ where: { queue: 'send-mail' }, how: { kind: 'job' } })
  })

  it.each(['', 'not json', '[1]', '7', '{"who":', '{"who":5}', '{"who":"x"}', 'null'])(
    'keeps %s whole when no emit looks like it',
    (data) => {
      expect(readFact(event({ kind: 'audit', data }))).toMatchObject({ who: 'unknown', data })
    },
  )

  it('never throws, whatever somebody wrote into the log', () => {
    fc.assert(
      fc.property(
        fc.constantFrom('audit', 'job', 'x'),
        fc.oneof(fc.json(), fc.string(), fc.constant(undefined)),
        (kind, data) => {
          readFact({ position: '1-0', kind, data } as unknown as LogEvent)
        },
      ),
    )
    expect(readFact(event({ data: '{"who":"\\ud800"}' })).who).toBe('\ufffd')
  })
})
