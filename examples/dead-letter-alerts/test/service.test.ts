import { type Receiver, startReceiver } from '@millrace/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { readConfig, type Service, startService } from '../src/index.ts'

let chat: Receiver
let service: Service
beforeAll(async () => {
  chat = await startReceiver()
  service = await startService({ port: 0, chatUrl: `${chat.url}/hook` })
})
afterAll(async () => {
  await service.close()
  await chat.stop()
})

const deliver = async (body: string) =>
  (await fetch(`${service.url}/internal/events/alerts`, { method: 'POST', body })).status

it('posts a line for a dead letter', async () => {
  const event = {
    type: 'job.dead_lettered',
    subject: 'job_1',
    namespace: 'shop',
    queue: 'mail',
    data: { attempts: 4, reason: 'http_status' },
  }
  expect(await deliver(JSON.stringify(event))).toBe(204)
  expect(chat.requests('/hook').map((request) => request.json())).toEqual([
    { text: 'Dead letter in shop/mail: job_1 after 4 attempts (http_status)' },
  ])
})

it.each([
  [
    { type: 'schedule.missed', queue: 'schedule:nightly', data: { count: 3, from: '01:00', to: '03:00' } },
    'shop/schedule:nightly missed 3 of its times, from 01:00 to 03:00',
  ],
  [
    { type: 'breaker.opened', queue: 'mail', data: { origin: 'http://mail:80' } },
    'shop/mail is paused: http://mail:80 gives no usable answers',
  ],
  [{ type: 'queue.paused', queue: 'mail', data: {} }, 'queue.paused in shop/mail'],
])('posts a line for %j', async (event, line) => {
  expect(await deliver(JSON.stringify({ ...event, namespace: 'shop' }))).toBe(204)
  expect(chat.requests('/hook').at(-1)?.json()).toEqual({ text: line })
})

it('hands on that the chat did not take it, and gives up on what it cannot read', async () => {
  chat.script('/hook', { status: 500 })
  expect(await deliver('{"type":"breaker.opened","queue":"mail","data":{"origin":"http://x"}}')).toBe(502)
  expect(await deliver('nonsense')).toBe(489)
})

it('names every variable that cannot be used', () => {
  expect(() => readConfig({ PORT: 'x', CHAT_WEBHOOK_URL: 'ftp://x' })).toThrow(/PORT[\s\S]*CHAT_WEBHOOK_URL/)
})
