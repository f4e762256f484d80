import type { Problem } from '@millrace/contracts'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type Call, expectBalance, manifestOf, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
let namespace: string
beforeAll(async () => {
  rig = await startRig({ env: { MILLRACE_MAX_JOB_BYTES: '2048' } })
  namespace = await rig.service([{ name: 'mail' }])
})
afterAll(() => rig.stop())
afterEach(async () => {
  await expectBalance(rig.client)
  expect(await rig.client.counts(namespace, 'mail'), 'nothing refused was accepted').toMatchObject({ accepted: 0 })
})

interface Refusal {
  readonly status: number
  readonly code: string
  readonly pointer?: string
  readonly detail?: RegExp
}

async function expectRefusal(method: string, path: string, call: Call, refusal: Refusal): Promise<void> {
  const reply = await rig.client.call<Problem>(method, path, call)
  expect(reply.headers.get('content-type')).toContain('application/problem+json')
  const { status, code, pointer, detail } = refusal
  expect(reply.body).toMatchObject({ status, code, type: `urn:millrace:problem:${code}`, title: expect.any(String) })
  expect(reply.status).toBe(status)
  if (pointer !== undefined) expect(reply.body.errors?.map((error) => error.pointer)).toContain(pointer)
  if (detail) expect(JSON.stringify(reply.body)).toMatch(detail)
}

describe('POST /jobs refuses', () => {
  const job = (rest: object) => ({ namespace, queue: 'mail', data: 1, ...rest })

  it.each<[string, () => Call, Refusal]>([
    ['malformed JSON', () => ({ text: '{"namespace":' }), { status: 400, code: 'request.malformed_json' }],
    [
      'invalid UTF-8',
      () => ({ text: Buffer.concat([Buffer.from('{"data":"'), Buffer.from([0xc3, 0x28]), Buffer.from('"}')]) }),
      { status: 400, code: 'request.malformed_json', detail: /UTF-8/ },
    ],
    ['an empty body', () => ({ text: '' }), { status: 422, code: 'request.invalid', pointer: '/namespace' }],
    ['a body that is no object', () => ({ text: '[1]' }), { status: 422, code: 'request.invalid', pointer: '' }],
    [
      'another content type',
      () => ({ text: 'a=1', headers: { 'content-type': 'application/x-www-form-urlencoded' } }),
      { status: 415, code: 'request.unsupported_media_type' },
    ],
    ['an unknown namespace', () => ({ body: job({ namespace: 'nobody' }) }), { status: 404, code: 'service.unknown' }],
    [
      'an unknown queue',
      () => ({ body: job({ queue: 'nope' }) }),
      { status: 404, code: 'queue.unknown', detail: /mail/ },
    ],
    [
      'a schedule as a queue',
      () => ({ body: job({ queue: 'schedule:x' }) }),
      { status: 422, code: 'request.invalid', pointer: '/queue' },
    ],
    [
      'missing data',
      () => ({ body: { namespace, queue: 'mail' } }),
      { status: 422, code: 'request.invalid', pointer: '/data' },
    ],
    [
      'an unknown field',
      () => ({ body: job({ dataa: 1 }) }),
      { status: 422, code: 'request.invalid', pointer: '/dataa' },
    ],
    [
      'a wrong type',
      () => ({ body: job({ retries: '3' }) }),
      { status: 422, code: 'request.invalid', pointer: '/retries' },
    ],
    [
      'a negative delay',
      () => ({ body: job({ delayMs: -1 }) }),
      { status: 422, code: 'request.invalid', pointer: '/delayMs' },
    ],
    [
      'a time without offset',
      () => ({ body: job({ runAt: '2030-01-01T00:00:00' }) }),
      { status: 422, code: 'request.invalid', pointer: '/runAt' },
    ],
    [
      'runAt together with delayMs',
      () => ({ body: job({ runAt: '2030-01-01T00:00:00Z', delayMs: 5 }) }),
      { status: 422, code: 'request.invalid', pointer: '/delayMs' },
    ],
    [
      'an unknown lane',
      () => ({ body: job({ priority: 'urgent' }) }),
      { status: 422, code: 'request.invalid', pointer: '/priority' },
    ],
    [
      'an empty idempotency key',
      () => ({ body: job({}), headers: { 'idempotency-key': '""' } }),
      { status: 422, code: 'request.invalid' },
    ],
    [
      'a payload over the limit',
      () => ({ body: job({ data: 'x'.repeat(3000) }) }),
      { status: 413, code: 'request.too_large', detail: /3002 bytes.*2048/ },
    ],
    [
      'a body over the limit',
      () => ({ body: job({ data: 'x'.repeat(20_000) }) }),
      { status: 413, code: 'request.too_large', detail: /larger than 10240 bytes/ },
    ],
    [
      'a payload that nests without end',
      () => ({ text: `{"namespace":"${namespace}","queue":"mail","data":${'['.repeat(900)}${']'.repeat(900)}}` }),
      { status: 422, code: 'request.invalid', pointer: '', detail: /512 levels/ },
    ],
  ])('%s', async (_what, call, refusal) => {
    await expectRefusal('POST', '/jobs', call(), refusal)
  })
})

describe('other routes refuse', () => {
  it.each<[string, string, string, unknown, Refusal]>([
    ['a route that is none', 'GET', '/nothing', undefined, { status: 404, code: 'request.not_found' }],
    ['an empty batch', 'POST', '/jobs/batch', { jobs: [] }, { status: 422, code: 'request.invalid', pointer: '/jobs' }],
    [
      'retrying what is no dead letter',
      'POST',
      '/jobs/job_0000000000000000000/retry',
      {},
      { status: 404, code: 'job.unknown' },
    ],
    ['retrying what is no id', 'POST', '/jobs/x%2Fy/retry', {}, { status: 404, code: 'job.unknown' }],
    [
      'counts of an unknown namespace',
      'GET',
      '/queues?namespace=nobody',
      undefined,
      { status: 404, code: 'service.unknown' },
    ],
    [
      'an unknown query parameter',
      'GET',
      '/queues?ns=shop',
      undefined,
      { status: 422, code: 'request.invalid', pointer: '/ns' },
    ],
    [
      'dead letters without a namespace',
      'GET',
      '/dead-letters',
      undefined,
      { status: 422, code: 'request.invalid', pointer: '/namespace' },
    ],
    ['an unknown service', 'GET', '/services/nobody', undefined, { status: 404, code: 'service.unknown' }],
  ])('%s', async (_what, method, path, body, refusal) => {
    await expectRefusal(method, path, { body }, refusal)
  })

  it.each([
    'x',
    'AAAA',
    Buffer.from('shop-1/mail 1-x').toString('base64url'),
    Buffer.from('other/mail 1-1').toString('base64url'),
  ])('the cursor %s, which no list gave out', async (cursor) => {
    const refusal = { status: 422, code: 'request.invalid', pointer: '/cursor' }
    await expectRefusal('GET', `/dead-letters?namespace=${namespace}&cursor=${cursor}`, {}, refusal)
  })

  it('dead letters of an unknown queue, listed or redriven', async () => {
    const refusal = { status: 404, code: 'queue.unknown' }
    await expectRefusal('GET', `/dead-letters?namespace=${namespace}&queue=nope`, {}, refusal)
    const body = { filter: { namespace, queue: 'nope' } }
    await expectRefusal('POST', '/dead-letters/redrive', { body }, refusal)
  })
})

describe('PUT /services/{namespace} refuses', () => {
  const url = 'http://127.0.0.1:9'
  const put = (body: object, refusal: Refusal, at = 'fresh') =>
    expectRefusal('PUT', `/services/${at}`, { body }, refusal)
  const fresh = (spec: string) => `metadata:\n  name: fresh\nspec:\n${spec}`

  it.each<[string, string, Refusal]>([
    ['YAML that is none', 'metadata: [', { status: 422, code: 'manifest.invalid', detail: /line/ }],
    [
      'a misspelt field',
      fresh('  queues:\n    - name: a\n      endpont: /internal/a'),
      {
        status: 422,
        code: 'manifest.invalid',
        pointer: '/spec/queues/0/endpont',
        detail: /"line":6,"detail":"is not a known field; did you mean .*endpoint/,
      },
    ],
    [
      'a public endpoint',
      fresh('  queues:\n    - name: a\n      endpoint: /api/a'),
      { status: 422, code: 'manifest.invalid', pointer: '/spec/queues/0/endpoint', detail: /internal.*"line":6/ },
    ],
    [
      'a cron with seconds',
      fresh('  schedules:\n    - name: a\n      cron: "0 0 2 * * *"\n      endpoint: /internal/a'),
      { status: 422, code: 'manifest.invalid', pointer: '/spec/schedules/0/cron', detail: /6 parts.*"line":6/ },
    ],
    [
      'an unknown time zone',
      fresh(
        '  schedules:\n    - name: a\n      cron: "0 2 * * *"\n      timezone: Mars/Base\n      endpoint: /internal/a',
      ),
      { status: 422, code: 'manifest.invalid', pointer: '/spec/schedules/0/timezone' },
    ],
    [
      'a name twice',
      fresh('  queues:\n    - {name: a, endpoint: /internal/a}\n    - {name: a, endpoint: /internal/b}'),
      { status: 422, code: 'manifest.invalid', pointer: '/spec/queues/1/name', detail: /"line":6/ },
    ],
    [
      'an internal endpoint that is a route',
      fresh('  routes:\n    - path: /internal/a\n  queues:\n    - {name: a, endpoint: /internal/a}'),
      { status: 422, code: 'manifest.invalid', pointer: '/spec/queues/0/endpoint', detail: /routes/ },
    ],
    ['no name', 'spec: {}', { status: 422, code: 'manifest.invalid', pointer: '/metadata/name' }],
    [
      'two components',
      'kind: Component\n---\nkind: Component',
      { status: 422, code: 'manifest.invalid', pointer: '/kind' },
    ],
  ])('%s', (_what, manifest, refusal) => put({ manifest, url }, refusal))

  it.each<[string, string, RegExp]>([
    ['is no URL', 'localhost', /not a URL/],
    ['has another scheme', 'ftp://host', /scheme ftp:/],
    ['holds a password', 'http://user:secret@host', /password/],
    ['holds a query', 'http://host/?a=1', /query/],
  ])('a url that %s', (_what, bad, detail) =>
    put(
      { manifest: manifestOf('fresh', [{ name: 'a' }]), url: bad },
      { status: 422, code: 'request.invalid', pointer: '/url', detail },
    ),
  )

  it('a manifest of another namespace, none at all, and a first apply without a url', async () => {
    const manifest = manifestOf('other', [{ name: 'a' }])
    await put({ manifest, url }, { status: 422, code: 'manifest.invalid', pointer: '/metadata/name' })
    await put({ url }, { status: 422, code: 'request.invalid', pointer: '/manifest' })
    await put({ manifest: manifestOf('fresh', []) }, { status: 422, code: 'service.no_url', pointer: '/url' })
    await put({ manifest, url }, { status: 422, code: 'request.invalid', pointer: '/namespace' }, 'Not_A_Namespace')
  })

  it('and what was refused is not registered, while what stands stays as it was', async () => {
    await expectRefusal(
      'PUT',
      `/services/${namespace}`,
      { body: { manifest: 'metadata: [', url } },
      { status: 422, code: 'manifest.invalid' },
    )
    const { body } = await rig.client.call<{ services: { namespace: string; url: string }[] }>('GET', '/services')
    expect(body.services).toMatchObject([
      { namespace, url: rig.receiver.url, queues: [{ endpoint: pathOf(namespace, 'mail') }] },
    ])
  })
})
