import { type Receiver, startReceiver } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createQueue, MillraceError, type Queue } from '../src/index.ts'

let dispatcher: Receiver
let queue: Queue

beforeEach(async () => {
  dispatcher = await startReceiver()
  dispatcher.script('/jobs', { status: 202, body: { id: 'job_1', durability: 'fsync' } })
  queue = createQueue({ url: `${dispatcher.url}/`, namespace: 'billing', requestTimeoutMs: 1000 })
})

afterEach(() => dispatcher.stop())

describe('enqueue', () => {
  it('sends the job and gives back its id and durability', async () => {
    expect(await queue.enqueue('send-invoice', { invoiceId: 1 })).toEqual({ id: 'job_1', durability: 'fsync' })
    const [request] = dispatcher.requests('/jobs')
    expect(request?.headers['content-type']).toBe('application/json')
    expect(request?.json()).toEqual({ namespace: 'billing', queue: 'send-invoice', data: { invoiceId: 1 } })
  })

  it('says how safe the job is, as far as the dispatcher says it', async () => {
    const answers = [{ durability: 'everysec', replicas: 2 }, { durability: 'fsync', replicas: 0 }, {}]
    dispatcher.script('/jobs', ...answers.map((said) => ({ status: 202, body: { id: 'job_1', ...said } })))
    expect(await queue.enqueue('a', 1)).toEqual({ id: 'job_1', durability: 'everysec', replicas: 2 })
    expect(await queue.enqueue('a', 1)).toEqual({ id: 'job_1', durability: 'fsync', replicas: 0 })
    expect(await queue.enqueue('a', 1)).toEqual({ id: 'job_1', durability: 'unknown' })
  })

  it('sends every option by its name on the wire, and nothing else', async () => {
    const options = {
      delayMs: 5,
      runAt: new Date('2030-01-02T03:04:05.006Z'),
      priority: 'high' as const,
      idempotencyKey: 'inv_1',
      expiresAt: '2031-01-01T00:00:00Z',
      retries: 0,
      timeoutMs: 1_000,
      stray: 'a property that TypeScript did not see',
    }
    await queue.enqueue('send-invoice', null, options)
    expect(dispatcher.requests('/jobs')[0]?.json()).toEqual({
      namespace: 'billing',
      queue: 'send-invoice',
      data: null,
      delayMs: 5,
      runAt: '2030-01-02T03:04:05.006Z',
      priority: 'high',
      idempotencyKey: 'inv_1',
      expiresAt: '2031-01-01T00:00:00Z',
      retries: 0,
      timeoutMs: 1_000,
    })
  })

  it('throws what the problem document says when the job is refused', async () => {
    const problem = {
      type: 'urn:x',
      title: 'No queue',
      status: 404,
      detail: 'no queue named nope',
      code: 'queue.unknown',
    }
    dispatcher.script('/jobs', { status: 404, body: problem })
    const error = await failure(queue.enqueue('nope', {}))
    expect(error).toMatchObject({ code: 'queue.unknown', status: 404, problem })
    expect(error.message).toContain('no queue named nope')
  })

  it('says how long to wait when the dispatcher does', async () => {
    dispatcher.script('/jobs', { status: 503, body: 'busy', headers: { 'retry-after': '7' } })
    const error = await failure(queue.enqueue('send-invoice', {}))
    expect(error).toMatchObject({ code: 'sdk.refused', status: 503, retryAfterMs: 7_000 })
  })

  it.each([
    ['hangs', { kind: 'hang' }, 'sdk.timeout'],
    ['resets the connection', { kind: 'reset' }, 'sdk.unreachable'],
    ['answers something that is not HTTP', { kind: 'garbage' }, 'sdk.unreachable'],
    ['answers half', { kind: 'half' }, 'sdk.unreachable'],
    ['answers a success that is not JSON', { status: 202, body: 'ok' }, 'sdk.bad_answer'],
    ['answers a success without an id', { status: 202, body: {} }, 'sdk.bad_answer'],
  ] as const)('throws when the dispatcher %s', async (_, behaviour, code) => {
    dispatcher.script('/jobs', behaviour)
    expect(await failure(queue.enqueue('send-invoice', {}))).toMatchObject({ code })
    // Sent once: a second try without a key could be a second job.
    expect(dispatcher.requests('/jobs')).toHaveLength(1)
  })

  it('throws with the refusal as its cause when nobody listens', async () => {
    await dispatcher.close()
    const error = await failure(queue.enqueue('send-invoice', {}))
    expect(error.code).toBe('sdk.unreachable')
    expect(error.message).toContain('ECONNREFUSED')
  })

  it.each([
    ['a cycle', cycle(), {}],
    ['a BigInt', { amount: 1n }, {}],
    ['an invalid date', {}, { runAt: new Date('no date') }],
  ])('sends nothing when given %s', async (_, data, options) => {
    expect(await failure(queue.enqueue('send-invoice', data, options))).toMatchObject({ code: 'sdk.invalid_input' })
    expect(dispatcher.requests()).toHaveLength(0)
  })
})

it.each(['', 'localhost:7401', '/jobs', 'http://'])('refuses %j as the dispatcher URL at once', (url) => {
  expect(() => createQueue({ url, namespace: 'billing' })).toThrow(MillraceError)
})

async function failure(promise: Promise<unknown>): Promise<MillraceError> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(MillraceError)
  return error as MillraceError
}

function cycle(): object {
  const value: { self?: object } = {}
  value.self = value
  return value
}
