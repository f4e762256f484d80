import { nameSchema, type QueueDefinition, queueDefinitionSchema } from '@millrace/contracts'
import { headersIn } from '@millrace/testkit'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import {
  buildDelivery,
  rawElements,
  rawMember,
  sampledTraceIdIn,
  traceIdOf,
  traceparentOf,
  validTraceparent,
} from '../src/index.ts'

const queue = queueDefinitionSchema.parse({ kind: 'queue', name: 'sync', endpoint: '/internal/x', concurrency: 5 })
const schedule = queueDefinitionSchema.parse({
  kind: 'schedule',
  name: 'nightly',
  endpoint: '/internal/x',
  concurrency: 5,
  schedule: { cron: '0 2 * * *', timezone: 'UTC' },
})
const subscription: QueueDefinition = { ...queue, kind: 'subscription', name: 'orders' }
const context = { maxAttempts: 4, timeoutMs: 30_000, nowMs: 1_700_000_000_500 }
const job = { id: 'job_0193a1b2c3d0000c002', attempt: 2, epoch: 3, token: 'tok', data: '{"n":9007199254740993}' }

describe('the request of an attempt', () => {
  it('has the documented body and headers, the payload as it came', () => {
    const { body, lines, id, timestamp } = buildDelivery(job, { definition: queue, ...context })
    expect(body).toBe('{"jobId":"job_0193a1b2c3d0000c002","queue":"sync","attempt":2,"data":{"n":9007199254740993}}')
    expect({ id, timestamp }).toEqual({ id: job.id, timestamp: '1700000000' })
    expect(headersIn(lines)).toEqual({
      'content-type': 'application/json',
      'idempotency-key': job.id,
      traceparent: traceparentOf(job),
      'x-job-token': 'tok',
      'webhook-id': job.id,
      'webhook-timestamp': '1700000000',
      'x-attempt': '2',
      'x-max-attempts': '4',
      'x-deadline-ms': '30000',
      'x-job-epoch': '3',
    })
  })

  it('has the name of its queue without escapes: there is no name that needs one', () => {
    const escaped = Array.from({ length: 0x10000 }, (_, code) => String.fromCharCode(code)).filter(
      (character) => JSON.stringify(character) !== `"${character}"`,
    )
    expect(escaped.length).toBeGreaterThan(2000)
    expect(escaped.filter((character) => nameSchema.safeParse(`a${character}b`).success)).toEqual([])
  })

  it('of a tick is the tick with its attempt and the three headers', () => {
    const tick = { schedule: 'nightly', cron: '0 2 * * *', scheduledAt: 'a', firedAt: 'b', tickId: 'c' }
    const { body, lines } = buildDelivery({ ...job, data: JSON.stringify(tick) }, { definition: schedule, ...context })
    expect(JSON.parse(body)).toEqual({ ...tick, attempt: 2 })
    expect(headersIn(lines)).toMatchObject({
      'x-schedule-name': 'nightly',
      'x-cron-expression': '0 2 * * *',
      'x-fired-at': 'b',
    })
  })

  it('of an event is the event, with the subscription that it matched, and the replay that brings it again', () => {
    const { body, lines } = buildDelivery({ ...job, replay: 'rpl_1' }, { definition: subscription, ...context })
    expect(body).toBe(job.data)
    expect(headersIn(lines)).toMatchObject({
      'content-type': 'application/cloudevents+json',
      'x-subscription': 'orders',
      'x-replay': 'rpl_1',
    })
    expect(headersIn(buildDelivery(job, { definition: subscription, ...context }).lines)).not.toHaveProperty('x-replay')
  })

  it.each(['a\r\nx-other: b', 'a\nb', 'a\rb', 'a\0', 'a\x7f', '漢'])('is not made of a header that is %j', (bad) => {
    const tick = { schedule: 'nightly', cron: '0 2 * * *', firedAt: 'b' }
    const data = (part: object) => JSON.stringify({ ...tick, ...part })
    // What a type calls a number may be none where it was read from Redis.
    const none = bad as unknown as number
    const build = (part: object, definition = queue, more: object = {}) =>
      buildDelivery({ ...job, ...part }, { definition, ...context, ...more })
    const made: Record<string, () => unknown> = {
      'webhook-id': () => build({ id: bad }),
      traceparent: () => build({ traceparent: bad }),
      tracestate: () => build({ tracestate: bad }),
      'x-attempt': () => build({ attempt: none }),
      'x-max-attempts': () => build({}, queue, { maxAttempts: none }),
      'x-deadline-ms': () => build({}, queue, { timeoutMs: none }),
      'x-job-epoch': () => build({ epoch: none }),
      'x-subscription': () => build({}, { ...subscription, name: bad }),
      'x-replay': () => build({ replay: bad }, subscription),
      'x-schedule-name': () => build({ data: data({ schedule: bad }) }, schedule),
      'x-cron-expression': () => build({ data: data({ cron: bad }) }, schedule),
      'x-fired-at': () => build({ data: data({ firedAt: bad }) }, schedule),
    }
    for (const [name, make] of Object.entries(made)) {
      expect(make, name).toThrow(new TypeError(`the header ${name} has a character that no header can carry`))
    }
  })

  it("carries the producer's trace, and without one a trace of its own, the same for all attempts", () => {
    const sent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    const { lines } = buildDelivery({ ...job, traceparent: sent, tracestate: 'a=1' }, { definition: queue, ...context })
    expect(headersIn(lines)).toMatchObject({ traceparent: sent, tracestate: 'a=1' })
    const own = [1, 2].map((epoch) => traceparentOf({ ...job, epoch }))
    expect(own.map(validTraceparent)).toEqual(own)
    expect(own[0]).not.toBe(own[1])
    expect(own.every((value) => value.includes(traceIdOf(job.id)))).toBe(true)
  })

  it.each([
    ['01', '0af7651916cd43dd8448eb211c80319c'],
    ['03', '0af7651916cd43dd8448eb211c80319c'],
    ['00', undefined],
    ['02', undefined],
  ])('names the trace of a producer with flags %s as %s: what nobody records cannot be looked at', (flags, traceId) => {
    expect(sampledTraceIdIn(`00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-${flags}`)).toBe(traceId)
  })

  it.each([
    '',
    'x',
    '00-00000000000000000000000000000000-b7ad6b7169203331-01',
    'ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    '00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01',
  ])('does not pass on %j as a trace', (value) => {
    expect(validTraceparent(value)).toBeUndefined()
  })
})

describe('raw members', () => {
  it('are the very text, through nesting, escapes, spaces and duplicates', () => {
    const text = ' { "a" : "}\\"{" , "data" : [1, {"x":"]"} ] ,"d\\u0061ta": 1.50 , "n":null}'
    expect(rawMember(text, 'data')).toBe('1.50')
    expect(rawMember(text, 'a')).toBe('"}\\"{"')
    expect(rawMember(text, 'n')).toBe('null')
    expect(rawMember(text, 'missing')).toBeUndefined()
    expect(rawMember('{}', 'a')).toBeUndefined()
  })

  it('of any JSON object parse to what the object holds', () => {
    fc.assert(
      fc.property(
        fc.dictionary(fc.string(), fc.jsonValue()),
        fc.jsonValue(),
        fc.nat({ max: 4 }),
        (others, value, indent) => {
          const text = JSON.stringify({ ...others, data: value }, null, indent)
          expect(JSON.parse(rawMember(text, 'data') as string)).toEqual(JSON.parse(JSON.stringify(value)))
        },
      ),
    )
  })

  it('of any array are its elements', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue()), fc.nat({ max: 4 }), (values, indent) => {
        const text = JSON.stringify({ jobs: values }, null, indent)
        expect(rawElements(text, 'jobs').map((raw) => JSON.parse(raw))).toEqual(JSON.parse(JSON.stringify(values)))
      }),
    )
  })
})
