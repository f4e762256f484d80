import { describe, expect, it } from 'vitest'
import {
  decideApply,
  mayHear,
  parseManifest,
  retentionCutoff,
  startPositions,
  toCloudEvent,
  withoutSubscription,
  withSubscription,
} from '../src/index.ts'

const ENDS = { '0': '1000-5', '1': '2000-0' }

const declare = (subscription: string, spec = '') => {
  const parsed = parseManifest(`metadata: {name: shop}\nspec:\n${spec}  subscriptions:\n    - ${subscription}\n`)
  if (parsed.kind === 'refused') throw new Error(JSON.stringify(parsed.mistakes))
  return parsed
}
const queueOf = (subscription: string) => declare(subscription).declaration.queues[0]
const mistakes = (spec: string) => {
  const parsed = parseManifest(`metadata: {name: shop}\nspec:\n${spec}`)
  return parsed.kind === 'refused' ? parsed.mistakes : []
}

describe('a subscription in a manifest', () => {
  it('waits as Standard Webhooks recommends, unless told', () => {
    expect(queueOf('{name: mail, endpoint: /internal/events, types: [order.*]}')).toMatchObject({
      kind: 'subscription',
      retries: 9,
      concurrency: 5,
      backoff: {
        type: 'list',
        delaysMs: [5000, 300_000, 1_800_000, 7_200_000, 18_000_000, 36_000_000, 50_400_000, 72_000_000, 86_400_000],
      },
      subscription: { types: ['order.*'], filters: [], startFrom: 'now' },
    })
    expect(queueOf('{name: mail, endpoint: /internal/events, retryDelayMs: 10, retries: 2}')).toMatchObject({
      retries: 2,
      retryDelayMs: 10,
      backoff: { type: 'exponential' },
    })
  })

  it('may be pulled instead of having an endpoint, and is one or the other', () => {
    const { declaration, warnings } = declare('{name: mail, delivery: pull}')
    expect(declaration.queues[0]).toMatchObject({ kind: 'subscription', delivery: 'pull', retries: 9 })
    expect([declaration.queues[0]?.endpoint, warnings]).toEqual([undefined, []])
    const detailOf = (fields: string) =>
      mistakes(`  subscriptions:\n    - {name: mail, ${fields}}\n`).map(({ detail }) => detail)
    expect(detailOf('types: [a]')).toEqual([expect.stringMatching(/^is required: .* or delivery: pull$/)])
    expect(detailOf('delivery: pull, endpoint: /internal/a')).toEqual([
      expect.stringMatching(/take one of the two out$/),
    ])
    expect(detailOf('delivery: pull, onStatus: {409: complete}')).toEqual([expect.stringMatching(/^is about answers/)])
  })

  it('warns of a public endpoint', () => {
    const { warnings } = declare('{name: mail, endpoint: /events}')
    expect(warnings).toEqual([expect.objectContaining({ pointer: '/spec/subscriptions/0/endpoint', line: 4 })])
  })

  it.each([
    ['a filter that is no SQL', 'filters: [{sql: "type ="}]', '/filters/0/sql', /position 7/],
    ['an unknown dialect', 'filters: [{regex: {type: a}}]', '/filters/0/regex', /not a known dialect/],
    ['a pattern with the star inside', 'types: ["order.*.paid"]', '/types/0', /must be a type/],
    ['a start that is none', 'startFrom: yesterday', '/startFrom', /must be now, earliest/],
    ['a day that there is not', 'startFrom: "2026-13-01T00:00:00Z"', '/startFrom', /not a time/],
    ['a misspelt field', 'filter: []', '/filter', /did you mean "filters"/],
  ])('refuses %s', (_what, field, pointer, detail) => {
    expect(mistakes(`  subscriptions:\n    - {name: mail, endpoint: /internal/events, ${field}}\n`)).toEqual([
      { pointer: `/spec/subscriptions/0${pointer}`, line: 4, detail: expect.stringMatching(detail) },
    ])
  })

  it('declares events with schemas that can be used, each type once', () => {
    const { declaration } = declare(
      '{name: mail, endpoint: /internal/events}',
      '  events:\n    - {type: order.paid, schema: {type: object, required: [cents]}}\n',
    )
    expect(declaration.events).toEqual([
      { type: 'order.paid', schema: { type: 'object', required: ['cents'] }, onMismatch: 'refuse' },
    ])
    expect(mistakes('  events:\n    - {type: a, schema: {type: objekt}}\n    - {type: a}\n')).toMatchObject([
      { pointer: '/spec/events/0/schema', detail: expect.stringContaining('not a JSON Schema') },
      { pointer: '/spec/events/1/type', detail: expect.stringContaining('declared twice') },
    ])
    expect(mistakes('  events:\n    - {type: a, schema: {requierd: [b]}}\n')).toHaveLength(1)
    expect(mistakes('  events:\n    - {type: job.enqueued}\n')).toMatchObject([
      { pointer: '/spec/events/0/type', detail: expect.stringContaining('only the platform itself publishes') },
    ])
  })
})

describe('applying a subscription', () => {
  const apply = (subscription: string, more: Partial<Parameters<typeof decideApply>[0]> = {}) =>
    decideApply({
      declaration: declare(subscription).declaration,
      url: 'http://shop',
      who: 'me',
      at: '2026-01-01T00:00:00.000Z',
      ends: ENDS,
      ...more,
    }).service

  it('begins where the logs end, and goes on from there when it is applied again', () => {
    const first = apply('{name: mail, endpoint: /internal/a}')
    expect(first.queues[0]?.subscription).toMatchObject({ since: 1, starts: ENDS })
    const later = apply('{name: mail, endpoint: /internal/b}', { current: first, ends: { '0': '9-9', '1': '9-9' } })
    expect(later.version).toBe(2)
    expect(later.queues[0]?.subscription).toMatchObject({ since: 1, starts: ENDS })
  })

  it('is refused where it would begin at an event that is not there, unless it has begun', () => {
    const errors = [{ pointer: '/spec/subscriptions/0/startFrom', detail: expect.stringContaining('no event') }]
    const late = '{name: mail, endpoint: /internal/a, startFrom: evt_fffffffffff00000001}'
    expect(() => apply(late)).toThrow(expect.objectContaining({ errors }))
    const first = apply('{name: mail, endpoint: /internal/a}')
    expect(apply(late, { current: first }).queues[0]?.subscription).toMatchObject({ since: 1, starts: ENDS })
  })

  it('begins anew when it was taken out in between', () => {
    const first = apply('{name: mail, endpoint: /internal/a}')
    const without = apply('{name: other, endpoint: /internal/a}', { current: first })
    expect(without.closing.map(({ name }) => name)).toEqual(['mail'])
    const again = apply('{name: mail, endpoint: /internal/a}', { current: without, ends: { '0': '9000-0' } })
    expect(again.queues[0]?.subscription).toMatchObject({ since: 3, starts: { '0': '9000-0' } })
  })

  it('leaves those made through the API alone', () => {
    const by = { who: 'api', at: '2026-01-02T00:00:00.000Z' }
    const made = declare('{name: api-made, endpoint: /internal/c, startFrom: earliest}').declaration.queues[0]!
    const service = withSubscription(apply('{name: mail, endpoint: /internal/a}'), made, { ends: ENDS, ...by })
    expect(service.subscriptions?.[0]?.subscription).toMatchObject({ since: 2, starts: { '0': '0-0', '1': '0-0' } })
    expect(withSubscription(service, made, { ends: { '0': '9000-0' }, ...by })).toBe(service)
    const changed = withSubscription(service, { ...made, concurrency: 9 }, { ends: { '0': '9000-0' }, ...by })
    expect(changed).toMatchObject({ version: 3, subscriptions: [{ concurrency: 9, subscription: { since: 2 } }] })
    const applied = apply('{name: other, endpoint: /internal/a}', { current: service })
    expect(applied.subscriptions).toEqual(service.subscriptions)
    expect(applied.closing.map(({ name }) => name)).toEqual(['mail'])
    const takenOver = apply('{name: api-made, endpoint: /internal/c}', { current: service, ends: { '0': '9000-0' } })
    expect(takenOver).toMatchObject({ queues: [{ subscription: { since: 2, starts: { '0': '0-0', '1': '0-0' } } }] })
    expect(takenOver.subscriptions).toBeUndefined()
    const removed = withoutSubscription(applied, 'api-made', by)
    expect(removed.subscriptions).toEqual([])
    expect(removed.closing.map(({ name }) => name)).toEqual(['mail', 'api-made'])
  })
})

describe('where a subscription starts', () => {
  it.each([
    ['now', ENDS],
    ['earliest', { '0': '0-0', '1': '0-0' }],
    ['1970-01-01T00:00:01.500Z', { '0': '1499-9007199254740991', '1': '1499-9007199254740991' }],
    // The event itself is the first: 1500-3 in partition 1.
    ['evt_000000005dc00003001', { '0': '1499-9007199254740991', '1': '1500-2' }],
    ['evt_000000005dc00000001', { '0': '1499-9007199254740991', '1': '1499-9007199254740991' }],
    // The last of its partition.
    ['evt_000000007d000000001', { '0': '1999-9007199254740991', '1': '1999-9007199254740991' }],
  ])('%s', (startFrom, expected) => {
    expect(startPositions(startFrom, ENDS, '/to')).toEqual(expected)
  })

  it.each([
    ['whose time has not come', 'evt_fffffffffff00000001'],
    ['that would come right behind the last one', 'evt_000000007d000001001'],
    ['of a partition that is not there', 'evt_000000005dc00000002'],
  ])('not at an event %s: nothing would be read until then', (_what, startFrom) => {
    const errors = [{ pointer: '/to', detail: expect.stringContaining('is the id of no event') }]
    expect(() => startPositions(startFrom, ENDS, '/to')).toThrow(expect.objectContaining({ errors }))
  })
})

describe('what the log has, as a CloudEvent', () => {
  const logged = {
    position: '1500-3',
    partition: 1,
    kind: 'job' as const,
    type: 'job.dead_lettered',
    namespace: 'shop',
    queue: 'mail',
    entityId: 'job_1',
    data: '{"reason":"http_status"}',
    endsEntry: true,
  }

  it('says of a fact of the platform where it happened', () => {
    const { attributes, json } = toCloudEvent(logged)
    expect(JSON.parse(json)).toEqual({ ...attributes, data: { reason: 'http_status' } })
    expect(attributes).toEqual({
      specversion: '1.0',
      id: 'evt_000000005dc00003001',
      source: '/millrace/shop',
      type: 'job.dead_lettered',
      subject: 'job_1',
      time: '1970-01-01T00:00:01.500Z',
      datacontenttype: 'application/json',
      namespace: 'shop',
      queue: 'mail',
    })
  })

  it('is what was published, as it came', () => {
    const data = '{"specversion":"1.0","id":"a","source":"/s","type":"t","subject":null,"data":1.0}'
    const { attributes, json } = toCloudEvent({ ...logged, kind: 'event', data })
    expect(json).toBe(data)
    expect(attributes).toEqual({ specversion: '1.0', id: 'a', source: '/s', type: 't' })
  })
})

describe('who may hear of a namespace', () => {
  it.each([
    ['shop', 'shop', true],
    ['shop', 'bank', false],
    ['ops', 'bank', true],
    ['billing', 'shop', true],
    ['billing', 'bank', false],
    ['constructor', 'bank', false],
  ])('%s of %s: %s', (reader, namespace, expected) => {
    expect(mayHear(reader, namespace, { ops: ['*'], billing: ['shop'] })).toBe(expected)
  })
})

describe('the position that no subscription may be behind', () => {
  const span = { first: '1000-0', last: '9000-0', bytes: 800 }
  it.each([
    ['nothing is too old or too large', { maxAgeMs: 100_000, maxBytes: 0 }, '0-0'],
    ['there is an age', { maxAgeMs: 4000, maxBytes: 0 }, '5999-9007199254740991'],
    ['the log is within its size', { maxAgeMs: 100_000, maxBytes: 800 }, '0-0'],
    ['the log is twice its size', { maxAgeMs: 100_000, maxBytes: 400 }, '4999-9007199254740991'],
    ['both are beyond', { maxAgeMs: 4000, maxBytes: 400 }, '5999-9007199254740991'],
  ])('when %s', (_what, retention, cutoff) => {
    expect(retentionCutoff(span, retention, 10_000)).toBe(cutoff)
  })
})
