import { request } from 'node:http'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually, type Receiver, startReceiver } from '../src/index.ts'

let receiver: Receiver

beforeEach(async () => {
  receiver = await startReceiver()
})

afterEach(() => receiver.stop())

function post(path: string, signal?: AbortSignal): Promise<Response> {
  return fetch(`${receiver.url}${path}`, {
    method: 'POST',
    body: '{"id":1}',
    signal: signal ?? null,
    redirect: 'manual',
  })
}

/** What ended a request: undici puts an error with a code, or with a telling class, into the cause. */
async function failureOf(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => new Error('nothing failed'),
    (caught: Error) => caught,
  )
  const cause = error.cause as (Error & { code?: string }) | undefined
  return cause?.code ?? cause?.name ?? error.message
}

describe('startReceiver', () => {
  it('answers success to paths without a script and records the request', async () => {
    const response = await post('/jobs?debug=1')
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({ success: true })
    const [recorded] = receiver.requests('/jobs')
    expect(recorded).toMatchObject({ method: 'POST', path: '/jobs', url: '/jobs?debug=1', body: '{"id":1}' })
    expect(recorded?.json()).toEqual({ id: 1 })
  })

  it('gives the nth request the nth behaviour and repeats the last', async () => {
    receiver.script(
      '/flaky',
      { status: 500 },
      { status: 503, headers: { 'retry-after': '7' } },
      { status: 204, body: '' },
    )
    const responses = [await post('/flaky'), await post('/flaky'), await post('/flaky'), await post('/flaky')]
    expect(responses.map((response) => response.status)).toEqual([500, 503, 204, 204])
    expect(responses[1]?.headers.get('retry-after')).toBe('7')
  })

  it('resets, answers garbage, and breaks off in the middle of an answer', async () => {
    receiver.script('/reset', { kind: 'reset' })
    receiver.script('/garbage', { kind: 'garbage' })
    receiver.script('/half', { kind: 'half' })
    expect(await failureOf(post('/reset'))).toBe('ECONNRESET')
    expect(await failureOf(post('/garbage'))).toBe('HTTPParserError')
    const half = await post('/half')
    expect(half.status).toBe(200)
    expect(await failureOf(half.text())).toBe('UND_ERR_SOCKET')
  })

  it('redirects', async () => {
    receiver.script('/moved', { kind: 'redirect', to: '/elsewhere' })
    const response = await post('/moved')
    expect(response.status).toBe(302)
    expect(response.headers.get('location')).toBe('/elsewhere')
  })

  it('hangs, and notes that the client gave up', async () => {
    receiver.script('/hang', { kind: 'hang' })
    const client = new AbortController()
    const gaveUp = expect(post('/hang', client.signal)).rejects.toThrow('given up')
    const [hung] = await receiver.waitFor('/hang', 1)
    client.abort(new Error('given up'))
    await gaveUp
    await eventually(() => hung?.aborted, { what: 'the request to be marked as aborted' })
  })

  it('delays an answer and counts what is open at once', async () => {
    receiver.script('/slow', { delayMs: 50 })
    await Promise.all([post('/slow'), post('/slow'), post('/slow')])
    await post('/slow')
    expect(receiver.maxInFlight('/slow')).toBe(3)
    expect(receiver.maxInFlight()).toBe(3)
    expect(receiver.requests('/slow').every((slow) => !slow.aborted)).toBe(true)
  })

  it('asks a function what to do', async () => {
    receiver.script('/asks', async (asked) => ({ status: asked.body.includes('1') ? 201 : 400 }))
    expect((await post('/asks')).status).toBe(201)
  })

  it('goes down and comes up on the same port, with its records', async () => {
    await post('/before')
    await receiver.close()
    expect(await failureOf(post('/during'))).toBe('ECONNREFUSED')
    await receiver.reopen()
    expect((await post('/after')).status).toBe(200)
    expect(receiver.requests().map((each) => each.path)).toEqual(['/before', '/after'])
  })

  it('records nothing of a request that never arrived complete', async () => {
    const broken = request(`${receiver.url}/broken`, { method: 'POST', headers: { 'content-length': '100' } })
    broken.on('error', () => {})
    broken.write('{"id"')
    await eventually(() => receiver.maxInFlight('/broken') === 1)
    broken.destroy()
    await post('/whole')
    expect(receiver.requests().map((each) => each.path)).toEqual(['/whole'])
  })

  it('names the path and both counts when requests do not come', async () => {
    await post('/jobs')
    await expect(receiver.waitFor('/jobs', 2, 30)).rejects.toThrow(
      '2 requests to /jobs; the last check threw: got 1 of 2',
    )
  })
})
