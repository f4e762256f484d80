import { eventually, type Receiver, startReceiver } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type EmitDetails, MillraceError, Septor, type SeptorOptions } from '../src/index.ts'

const EMIT = '/v1/events/emit'
const chained = { status: 201, body: { success: true, data: { eventId: 'evt_1', eventHash: 'ab', chainIndex: 0 } } }
const details: EmitDetails = { entityId: 'pol_1', data: { cents: 1 }, metadata: { who: 'worker', why: 'nightly' } }

const HOURLY = { baseMs: 3_600_000, maxMs: 3_600_000 }

let audit: Receiver

beforeEach(async () => {
  audit = await startReceiver()
  audit.script(EMIT, chained)
})

afterEach(() => audit.stop())

describe('emit', () => {
  it('sends the event and resolves with where it stands in the chain', async () => {
    const result = await client({ apiKey: 'secret' }).emit('policy.created', details)
    expect(result).toEqual(chained.body)
    const [request] = audit.requests(EMIT)
    expect(request?.headers.authorization).toBe('Bearer secret')
    expect(request?.json()).toEqual({ namespace: 'billing', eventType: 'policy.created', ...details })
  })

  it('resolves with the id alone when the event is accepted but not yet chained', async () => {
    audit.script(EMIT, { status: 202, body: { success: true, data: { eventId: 'evt_1' } } })
    expect((await client().emit('policy.created', details)).data).toEqual({ eventId: 'evt_1' })
  })

  it('retries what may pass under one idempotency key, with the bytes of the call', async () => {
    audit.script(
      EMIT,
      { status: 503 },
      { kind: 'reset' },
      { kind: 'half' },
      { kind: 'hang' },
      { body: 'no JSON' },
      chained,
    )
    const data = { cents: 1 }
    const accepted = client().emit('policy.created', { ...details, data })
    data.cents = 2
    await accepted

    const requests = audit.requests(EMIT)
    expect(requests).toHaveLength(6)
    expect(new Set(requests.map((request) => request.headers['idempotency-key'])).size).toBe(1)
    expect(new Set(requests.map((request) => request.body)).size).toBe(1)
    expect(requests[0]?.json()).toMatchObject({ data: { cents: 1 } })
  })

  it('gives two emits two idempotency keys', async () => {
    const septor = client()
    await Promise.all([septor.emit('policy.created', details), septor.emit('policy.created', details)])
    const keys = audit.requests(EMIT).map((request) => request.headers['idempotency-key'])
    expect(new Set(keys).size).toBe(2)
  })

  it('keeps events while the service is down and delivers them when it comes up', async () => {
    await audit.close()
    const septor = client()
    const all = Promise.all([1, 2, 3].map((n) => septor.emit(`policy.n${n}`, details)))
    await audit.reopen()
    expect(await all).toHaveLength(3)
  })

  it('keeps the order of an entity over failures, and lets other entities pass', async () => {
    audit.script(EMIT, { status: 500 }, { status: 500 }, chained)
    const septor = client()
    const first = septor.emit('policy.first', details)
    const second = septor.emit('policy.second', details)
    const other = septor.emit('policy.other', { ...details, entityId: 'pol_2' })
    await Promise.all([first, second, other])

    const types = audit.requests(EMIT).map((request) => (request.json() as { eventType: string }).eventType)
    expect(types.indexOf('policy.second')).toBeGreaterThan(types.lastIndexOf('policy.first'))
    expect(types.indexOf('policy.other')).toBeLessThan(types.indexOf('policy.second'))
  })

  it('has a bounded number of requests open', async () => {
    audit.script(EMIT, { ...chained, delayMs: 20 })
    const septor = client()
    const emits = Array.from({ length: 40 }, (_, n) =>
      septor.emit('policy.created', { ...details, entityId: `pol_${n}` }),
    )
    await Promise.all(emits)
    expect(audit.maxInFlight(EMIT)).toBe(8)
  })

  it('waits for Retry-After when it is longer than the backoff', async () => {
    audit.script(EMIT, { status: 429, headers: { 'retry-after': '1' } }, chained)
    await client().emit('policy.created', details)
    const [first, second] = audit.requests(EMIT)
    // A timer may fire a millisecond early.
    expect((second?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThanOrEqual(999)
  })

  it('does not retry a refusal', async () => {
    const problem = { type: 'urn:x', title: 'Bad', status: 422, detail: 'who is required', code: 'request.invalid' }
    audit.script(EMIT, { status: 422, body: problem }, chained)
    await expect(client().emit('policy.created', details)).rejects.toMatchObject({ code: 'request.invalid', problem })
    expect(audit.requests(EMIT)).toHaveLength(1)
  })

  it('goes on with the next event of an entity after one was given up', async () => {
    audit.script(EMIT, { status: 422 }, chained)
    const septor = client()
    const refused = septor.emit('policy.bad', details)
    const next = septor.emit('policy.good', details)
    await expect(refused).rejects.toBeInstanceOf(MillraceError)
    await expect(next).resolves.toEqual(chained.body)
  })

  it('rejects when the time to give up has come', async () => {
    await audit.close()
    const givenUp = client({ giveUpAfterMs: 100 }).emit('policy.created', details)
    await expect(givenUp).rejects.toMatchObject({ code: 'sdk.unreachable' })
  })

  it('refuses the newest when the buffer is full, and takes events again when there is room', async () => {
    audit.script(EMIT, { kind: 'hang' }, chained)
    const septor = client({ maxBuffered: 2 })
    const taken = [septor.emit('policy.n1', details), septor.emit('policy.n2', details)]
    await expect(septor.emit('policy.n3', details)).rejects.toMatchObject({ code: 'sdk.buffer_full' })
    await Promise.all(taken)
    await expect(septor.emit('policy.n4', details)).resolves.toEqual(chained.body)
  })

  it.each([
    ['data that is not JSON', { ...details, data: 1n }],
    ['no details at all', undefined as unknown as EmitDetails],
  ])('rejects and does not throw when called with %s', async (_, bad) => {
    const promise = client().emit('policy.created', bad)
    await expect(promise).rejects.toThrow()
    expect(audit.requests()).toHaveLength(0)
  })
})

describe('flush', () => {
  it('resolves at once when nothing waits', async () => {
    expect(await client().flush(60_000)).toEqual({ pending: 0 })
  })

  it('retries often while it waits, whatever the backoff and Retry-After say', async () => {
    audit.script(EMIT, { status: 503, headers: { 'retry-after': '3600' } }, { status: 503 }, chained)
    const septor = client({ backoff: HOURLY })
    const emitted = septor.emit('policy.created', details)
    expect(await septor.flush(5_000)).toEqual({ pending: 0 })
    expect(await emitted).toEqual(chained.body)
  })

  it('wakes what is already in its backoff', async () => {
    audit.script(EMIT, { status: 503 }, chained)
    const septor = client({ backoff: HOURLY })
    const emitted = septor.emit('policy.created', details)
    await audit.waitFor(EMIT, 1)
    // The answer has left the server; the client is in its backoff as soon as it has read it.
    await eventually(async () => (await septor.flush(50)).pending === 0, { what: 'the emit is accepted' })
    expect(await emitted).toEqual(chained.body)
  })

  it('says how many are still pending when the time is up, and keeps them', async () => {
    await audit.close()
    const septor = client()
    const emits = [septor.emit('policy.n1', details), septor.emit('policy.n2', { ...details, entityId: 'pol_2' })]
    expect(await septor.flush(50)).toEqual({ pending: 2 })
    await audit.reopen()
    expect(await septor.flush(5_000)).toEqual({ pending: 0 })
    await Promise.all(emits)
  })
})

function client(options: Partial<SeptorOptions> = {}): Septor {
  const backoff = { baseMs: 5, maxMs: 20 }
  return new Septor({ apiUrl: audit.url, namespace: 'billing', requestTimeoutMs: 200, backoff, ...options })
}
