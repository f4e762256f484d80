import { fileURLToPath } from 'node:url'
import { type ChildHandle, freePort, type Receiver, startProcess, startReceiver } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPlace, type Place, runCommand, startUp } from './platform.ts'

const EXAMPLE = new URL('../../examples/dead-letter-alerts/', import.meta.url)

let place: Place
let platform: ChildHandle
let example: ChildHandle
let service: Receiver
let chat: Receiver
beforeAll(async () => {
  const found = await findPlace()
  // The example hears of everybody, as its README says; nobody was granted anything about it.
  place = { ...found, env: { ...found.env, MILLRACE_EVENT_GRANTS: 'dead-letter-alerts:*' } }
  service = await startReceiver()
  chat = await startReceiver()
  platform = await startUp(place)
  const port = await freePort()
  example = await startProcess({
    file: new URL('src/main.ts', EXAMPLE),
    env: { PORT: String(port), CHAT_WEBHOOK_URL: `${chat.url}/hook` },
    readyWhen: /listening on/,
  })
  const manifest = fileURLToPath(new URL('catalog-info.yaml', EXAMPLE))
  const applied = await runCommand(place, 'apply', manifest, '--service-url', `http://127.0.0.1:${port}`)
  expect(applied.code, applied.output).toBe(0)
}, 90_000)
afterAll(async () => {
  await example.stop()
  await platform.stop()
  await place.remove()
  await chat.stop()
  await service.stop()
})

const send = async (method: string, path: string, body: unknown) => {
  const response = await fetch(`${place.urls.dispatcher}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  expect(response.status, text).toBeLessThan(300)
  return JSON.parse(text) as { id: string }
}
const apply = (namespace: string, spec: Record<string, unknown>, url: string) =>
  send('PUT', `/services/${namespace}`, { manifest: { metadata: { name: namespace }, spec }, url, who: 'test' })
const linesOf = () => chat.requests('/hook').map((request) => (request.json() as { text: string }).text)
const hear = (line: RegExp) => expect.poll(linesOf, { timeout: 60_000 }).toContainEqual(expect.stringMatching(line))

describe('the example that posts alerts to a chat', { timeout: 240_000 }, () => {
  it('says there that a job of another service is dead, once the chat takes it', async () => {
    service.script('/internal/jobs/mail', { status: 489 })
    chat.script('/hook', { status: 500 }, { status: 200 })
    await apply('shop', { queues: [{ name: 'mail', endpoint: '/internal/jobs/mail' }] }, service.url)
    const { id } = await send('POST', '/jobs', { namespace: 'shop', queue: 'mail', data: {} })
    const line = `Dead letter in shop/mail: ${id} after 1 attempts (no_retry)`
    await expect.poll(linesOf, { timeout: 60_000 }).toEqual([line, line])
  })

  it('says that a circuit is open', async () => {
    const gone = `http://127.0.0.1:${await freePort()}`
    const queue = { name: 'work', endpoint: '/internal/jobs/work', retries: 20, backoff: { type: 'fixed' } }
    await apply('away', { queues: [{ ...queue, retryDelayMs: 10 }] }, gone)
    await send('POST', '/jobs', { namespace: 'away', queue: 'work', data: {} })
    await hear(new RegExp(`^away/work is paused: ${gone} gives no usable answers$`))
  })

  it('says what a schedule missed while nothing was running', async () => {
    const schedule = { name: 'often', cron: '@every 1s', endpoint: '/internal/cron/often', catchUp: { take: 'none' } }
    await apply('clock', { schedules: [schedule] }, service.url)
    await service.waitFor('/internal/cron/often', 2)
    await platform.stop()
    const stoppedAt = Date.now()
    // Its times pass with the clock; what is late by more than a second is missed.
    await expect.poll(() => Date.now() - stoppedAt, { timeout: 60_000 }).toBeGreaterThan(3000)
    platform = await startUp(place)
    await hear(/^clock\/schedule:often missed \d+ of its times, from \S+Z to \S+Z$/)
  })
})

it('refuses at its start a grant that is none', { timeout: 240_000 }, async () => {
  const child = await startProcess({
    file: new URL('../../apps/dispatcher/src/main.ts', import.meta.url),
    env: { ...place.env, MILLRACE_EVENT_GRANTS: 'ops' },
  })
  expect((await child.exited).code).not.toBe(0)
  expect(child.output()).toMatch(/MILLRACE_EVENT_GRANTS: expected pairs such as ops:\*,billing:shop, got "ops"/)
})
