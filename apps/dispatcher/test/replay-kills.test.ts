import type { Replay } from '@millrace/contracts'
import { eventually, type Receiver, type RedisServer, startReceiver, startRedis } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { type DispatcherProcess, startDispatcherProcess } from './dispatcher-process.ts'
import { dataAt, eventsPath, publish, subscribeTo } from './event-fixture.ts'

const EVENTS = 60

let redis: RedisServer
let receiver: Receiver
const started: DispatcherProcess[] = []
beforeAll(async () => {
  redis = await startRedis({ appendonly: true, appendfsync: 'everysec' })
  receiver = await startReceiver()
})
afterEach(async () => {
  for (const { process } of started) await process.killGroup()
})
afterAll(async () => {
  await receiver.stop()
  await redis.stop()
})

const start = async () => {
  const dispatcher = await startDispatcherProcess(redis.url)
  started.push(dispatcher)
  return dispatcher
}

it('a replay goes on where it was when its dispatcher is killed, with one job for each event', async () => {
  const path = eventsPath('killed', 'mail')
  let current = await start()
  await subscribeTo(current.client, 'killed', {
    subscriptions: [{ name: 'mail', types: ['killed.sent'], concurrency: 5 }],
    url: receiver.url,
  })
  const numbers = Array.from({ length: EVENTS }, (_, number) => number)
  for (const data of numbers) await publish(current.client, 'killed.sent', { data })
  await receiver.waitFor(path, EVENTS)
  const { body: replay } = await current.client.call<Replay>('POST', '/subscriptions/killed.mail/replay', {
    body: { from: 'earliest', ratePerSecond: 20 },
  })
  const replayed = () => receiver.requests(path).filter(({ headers }) => headers['x-replay'] === replay.id)
  for (const reached of [EVENTS / 4, EVENTS / 2]) {
    await eventually(() => replayed().length >= reached, { timeoutMs: 60_000 })
    const next = await start()
    await current.process.kill()
    current = next
  }
  await eventually(
    async () => {
      const { body } = await current.client.call<{ replays: Replay[] }>('GET', '/subscriptions/killed.mail/replays')
      expect(body.replays[0]).toMatchObject({ state: 'finished', replayed: EVENTS })
      return true
    },
    { timeoutMs: 60_000 },
  )
  // What a killed dispatcher was delivering may come again, but as the same job.
  await eventually(async () => new Set(replayed().map(({ headers }) => headers['webhook-id'])).size >= EVENTS)
  expect(new Set(replayed().map(({ headers }) => headers['webhook-id'])).size).toBe(EVENTS)
  expect(new Set(dataAt(receiver, path))).toEqual(new Set(numbers))
  expect(new Set(replayed().map((request) => (request.json() as { data: number }).data))).toEqual(new Set(numbers))
}, 240_000)
