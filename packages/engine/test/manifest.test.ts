import { describe, expect, it } from 'vitest'
import { parseManifest } from '../src/index.ts'

const header = `apiVersion: backstage.io/v1alpha1
kind: Component
metadata:
  name: my-service
  annotations:
    insureco.io/framework: express
`
const full = `${header}spec:
  type: service
  lifecycle: production
  owner: my-org
  routes:
    - path: /api/reports/generate
      methods: [POST]
      auth: required
  schedules:
    - name: nightly-sync
      cron: "0 2 * * *"
      endpoint: /internal/cron/nightly-sync
      timezone: America/Denver
      timeoutMs: 60000
  queues:
    - name: sync-record
      endpoint: /internal/jobs/sync-record
      concurrency: 10
      retries: 3
      retryDelayMs: 5000
      timeoutMs: 30000
    - name: process-claim
      endpoint: /internal/jobs/process-claim
  internalDependencies:
    - service: iec-queue
`
const withSpec = (spec: string) => `${header}spec:\n${spec}`
const accept = (source: string) => {
  const parsed = parseManifest(source)
  if (parsed.kind === 'refused') throw new Error(JSON.stringify(parsed.mistakes))
  return parsed
}
const mistakes = (source: string) => {
  const parsed = parseManifest(source)
  return parsed.kind === 'refused' ? parsed.mistakes : []
}

const NAMED_SCHEDULE = withSpec('  queues: [{name: schedule, endpoint: /internal/jobs/x}]\n')

describe('a manifest', () => {
  it('gives its queues and schedules the documented defaults and passes the rest through', () => {
    const { declaration, warnings } = accept(full)
    expect(warnings).toEqual([])
    expect(declaration.namespace).toBe('my-service')
    const [, claim, nightly] = declaration.queues
    expect(claim).toMatchObject({
      kind: 'queue',
      concurrency: 5,
      retries: 3,
      retryDelayMs: 5000,
      timeoutMs: 30_000,
      backoff: { type: 'exponential', factor: 2 },
    })
    expect(nightly).toMatchObject({
      kind: 'schedule',
      name: 'nightly-sync',
      schedule: { cron: '0 2 * * *', timezone: 'America/Denver' },
      timeoutMs: 60_000,
    })
    expect(declaration.manifest).toMatchObject({
      spec: { owner: 'my-org', internalDependencies: [{ service: 'iec-queue' }] },
    })
  })

  it('needs five lines', () => {
    const { declaration } = accept(
      'metadata: {name: shop}\nspec:\n  queues:\n    - name: mail\n      endpoint: /internal/jobs/mail\n',
    )
    expect(declaration.queues).toHaveLength(1)
  })

  it('may be an object as well', () => {
    const parsed = parseManifest({
      metadata: { name: 'shop' },
      spec: { queues: [{ name: 'mail', endpoint: '/internal/jobs/mail', retries: -1 }] },
    })
    expect(parsed).toMatchObject({ kind: 'refused', mistakes: [{ pointer: '/spec/queues/0/retries' }] })
  })

  it('may stand among other entities of its file', () => {
    expect(accept(`${full}---\nkind: API\nmetadata: {name: my-api}\n`).declaration.namespace).toBe('my-service')
    expect(mistakes('kind: API\nmetadata: {name: my-api}\n')[0]?.detail).toMatch(
      /one entity of kind Component, got API/,
    )
  })

  it('that declares nothing is accepted with a warning', () => {
    expect(accept(header).warnings[0]?.detail).toMatch(/declares no queues/)
  })
})

describe('a refused manifest names line, field and fix', () => {
  const queue = (fields: string) => withSpec(`  queues:\n    - name: q\n      endpoint: /internal/jobs/q\n${fields}`)
  const schedule = (fields: string) =>
    withSpec(`  schedules:\n    - name: s\n      endpoint: /internal/cron/s\n${fields}`)
  it.each([
    [
      'an endpoint outside /internal/',
      withSpec('  queues:\n    - name: q\n      endpoint: /jobs/q\n'),
      10,
      '/spec/queues/0/endpoint',
      /must start with \/internal\//,
    ],
    [
      'an endpoint with dots',
      withSpec('  queues:\n    - name: q\n      endpoint: /internal/../admin\n'),
      10,
      '/spec/queues/0/endpoint',
      /segments/,
    ],
    [
      'an endpoint that is a URL',
      withSpec('  queues:\n    - name: q\n      endpoint: http://evil/internal/\n'),
      10,
      '/spec/queues/0/endpoint',
      /absolute path/,
    ],
    [
      'an endpoint that is also a route',
      withSpec('  routes:\n    - path: /internal/jobs/*\n  queues:\n    - name: q\n      endpoint: /internal/jobs/q\n'),
      12,
      '/spec/queues/0/endpoint',
      /spec\.routes/,
    ],
    [
      'a six-part cron',
      schedule('      cron: "0 0 2 * * *"\n'),
      11,
      '/spec/schedules/0/cron',
      /6 parts.*leave out the first part, "0 2 \* \* \*"/,
    ],
    [
      'a cron with an impossible field',
      schedule('      cron: "61 2 * * *"\n'),
      11,
      '/spec/schedules/0/cron',
      /the minute "61" \(out of range\)/,
    ],
    [
      'an unknown time zone',
      schedule('      cron: "0 2 * * *"\n      timezone: America/Denvr\n'),
      12,
      '/spec/schedules/0/timezone',
      /not a known time zone/,
    ],
    [
      'a time zone that is an offset',
      schedule('      cron: "0 2 * * *"\n      timezone: "+02:00"\n'),
      12,
      '/spec/schedules/0/timezone',
      /IANA/,
    ],
    ['a missing cron', schedule(''), 9, '/spec/schedules/0/cron', /is required/],
    ['a name that addresses begin with', NAMED_SCHEDULE, 8, '/spec/queues/0/name', /choose another/],
    ['a misspelt field', queue('      retry: 3\n'), 11, '/spec/queues/0/retry', /did you mean "retries"/],
    ['a field nobody knows', queue('      colour: red\n'), 11, '/spec/queues/0/colour', /known are name, endpoint/],
    [
      'a misspelt backoff field',
      queue('      backoff:\n        maxDelay: 5\n'),
      12,
      '/spec/queues/0/backoff/maxDelay',
      /did you mean "maxDelayMs"/,
    ],
    [
      'a misspelt field of a policy',
      schedule('      cron: "0 2 * * *"\n      dst:\n        overlapp: last\n'),
      13,
      '/spec/schedules/0/dst/overlapp',
      /did you mean "overlap"/,
    ],
    [
      'a wrong type',
      queue('      concurrency: "ten"\n'),
      11,
      '/spec/queues/0/concurrency',
      /^Invalid input: expected number/,
    ],
    ['a number out of range', queue('      timeoutMs: 0\n'), 11, '/spec/queues/0/timeoutMs', />=1/],
    ['a misspelt list', withSpec('  queue:\n    - name: q\n'), 8, '/spec/queue', /did you mean "queues"/],
    ['a list that is none', withSpec('  queues: sync\n'), 8, '/spec/queues', /expected a list/],
    [
      'duplicate names',
      withSpec('  queues:\n    - {name: q, endpoint: /internal/a}\n    - {name: q, endpoint: /internal/b}\n'),
      10,
      '/spec/queues/1/name',
      /declared twice/,
    ],
    [
      'a name with a slash',
      withSpec('  queues:\n    - {name: a/b, endpoint: /internal/a}\n'),
      9,
      '/spec/queues/0/name',
      /letters, digits/,
    ],
    [
      'a key of the response table that is no status',
      queue('      onStatus:\n        "4O4": dead\n'),
      12,
      '/spec/queues/0/onStatus/4O4',
      /must be a status/,
    ],
    [
      'an action that does not exist',
      queue('      onStatus:\n        404: bury\n'),
      12,
      '/spec/queues/0/onStatus/404',
      /expected one of/,
    ],
    [
      'a nickname nobody knows',
      schedule('      cron: "@fortnightly"\n'),
      11,
      '/spec/schedules/0/cron',
      /known are @yearly/,
    ],
    [
      'onDead without order',
      queue('      keyConcurrency: 2\n      onDead: block\n'),
      12,
      '/spec/queues/0/onDead',
      /keyConcurrency: 1 only/,
    ],
    [
      'a rate per key without keys',
      queue('      keyRateLimit: {limit: 5}\n'),
      11,
      '/spec/queues/0/keyRateLimit',
      /needs keyConcurrency/,
    ],
    [
      'a list of delays without its type',
      queue('      backoff: {delaysMs: [1]}\n'),
      11,
      '/spec/queues/0/backoff',
      /go together/,
    ],
    ['what is not delivered yet', withSpec('  workflows: []\n'), 8, '/spec/workflows', /no workflows yet/],
    ['a bad namespace', 'metadata:\n  name: My Service\nspec: {}\n', 2, '/metadata/name', /namespace of the service/],
    ['broken YAML', 'metadata:\n  name: a\n   oops: [\n', 2, '', /not valid YAML/],
  ])('%s', (_name, source, line, pointer, detail) => {
    const [first] = mistakes(source)
    expect(first).toMatchObject({ line, pointer })
    expect(first?.detail).toMatch(detail)
  })

  it('all mistakes at once', () => {
    const source = queue('      retry: 3\n      timeoutMs: x\n    - name: q2\n      endpoint: /public\n')
    expect(mistakes(source)).toHaveLength(3)
  })

  it('at the right item, also behind one that is refused for another reason', () => {
    const source = withSpec(
      '  queues:\n    - {name: a, endpoint: /public, retries: x}\n    - {name: b, endpoint: /jobs/b}\n  schedules:\n    - {name: c}\n    - {name: d, endpoint: /internal/d, cron: "* * *"}\n',
    )
    expect(mistakes(source).map(({ line, pointer }) => `${line} ${pointer}`)).toEqual([
      '9 /spec/queues/0/retries',
      '9 /spec/queues/0/endpoint',
      '10 /spec/queues/1/endpoint',
      '12 /spec/schedules/0/endpoint',
      '12 /spec/schedules/0/cron',
      '13 /spec/schedules/1/cron',
    ])
  })

  it('does not expand a billion laughs', () => {
    const lines = ['a: &a [x,x,x,x,x,x,x,x,x]']
    for (const [name, of] of ['ba', 'cb', 'dc', 'ed', 'fe', 'gf'].map((pair) => [pair[0], pair[1]]))
      lines.push(`${name}: &${name} [${Array(9).fill(`*${of}`).join(',')}]`)
    expect(mistakes(lines.join('\n'))[0]?.detail).toMatch(/could not be expanded/)
  })
})
