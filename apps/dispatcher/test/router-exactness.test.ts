import { createPartitions, emit, imbalance, type Partitions, readCounts, readLogRange } from '@millrace/streams'
import { eventually, type Receiver, type RedisServer, startReceiver, startRedis } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { type DispatcherProcess, startDispatcherProcess } from './dispatcher-process.ts'
import { dataAt, eventsPath, subscribeTo } from './event-fixture.ts'

const PARTITIONS = 3

let redis: RedisServer
let receiver: Receiver
let partitions: Partitions
let started: DispatcherProcess[]
beforeAll(async () => {
  redis = await startRedis({ appendonly: true, appendfsync: 'everysec' })
  receiver = await startReceiver()
})
beforeEach(async () => {
  await redis.flush()
  started = []
  partitions = createPartitions(redis.client(), PARTITIONS)
})
afterEach(async () => {
  for (const { process } of started) await process.killGroup()
})
afterAll(async () => {
  await receiver.stop()
  await redis.stop()
})

const start = async (env: Record<string, string> = {}) => {
  const dispatcher = await startDispatcherProcess(redis.url, { MILLRACE_PARTITIONS: String(PARTITIONS), ...env })
  started.push(dispatcher)
  return dispatcher
}

/** Published straight into the log, so that nothing that is killed has a part in it. */
const publish = async (number: number, subject: string) => {
  const event = { specversion: '1.0', id: `e-${number}`, source: '/t', type: 'exact.sent', subject, data: number }
  const fact = {
    kind: 'event' as const,
    type: event.type,
    namespace: 'default',
    entityId: subject,
    data: JSON.stringify(event),
  }
  await emit(partitions.of(`default/${subject}`), [fact])
}

/** How often each event became a job of a subscription, by the data of the event. */
const routedTo = async (subscription: string): Promise<number[]> => {
  const logs = await Promise.all(partitions.all.map((partition) => readLogRange(partition, { count: 100_000 })))
  const numbers = new Map<string, number>()
  for (const entry of logs.flat()) {
    if (entry.kind === 'event') {
      const id = `evt_${Number(entry.position.split('-')[0]).toString(16).padStart(11, '0')}${Number(entry.position.split('-')[1]).toString(16).padStart(5, '0')}${entry.partition.toString(16).padStart(3, '0')}`
      numbers.set(id, (JSON.parse(entry.data) as { data: number }).data)
    }
  }
  const mine = logs
    .flat()
    .filter(({ type, queue }) => type === 'job.enqueued' && queue === `subscription:${subscription}`)
  return mine
    .map(({ data }) => numbers.get((JSON.parse(data) as { event: string }).event) as number)
    .toSorted((a, b) => a - b)
}

const upTo = (count: number, from = 0) => Array.from({ length: count - from }, (_, index) => from + index)

describe('routers that are killed at any moment', () => {
  it('make exactly one job of each event for each subscription, over partitions, with subscriptions coming and going', async () => {
    const types = ['exact.*']
    const names = ['one', 'two', 'three', 'four', 'five']
    const early = names.map((name) => ({ name, types, concurrency: 20 }))
    let current = await start()
    await subscribeTo(current.client, 'exact', { subscriptions: early, url: receiver.url })
    const rounds = 6
    const perRound = 60
    let published = 0
    const publishSome = async () => {
      for (let count = 0; count < perRound; count++) await publish(published, `s/${published++ % 17}`)
    }
    const late: number[] = []
    for (let round = 0; round < rounds; round++) {
      // The next one stands by, and takes over in the middle of whatever the killed one was at.
      const next = await start()
      const publishing = publishSome()
      await current.process.kill()
      current = next
      if (round === 2) {
        late.push(published)
        const subscriptions = [
          ...early.slice(1),
          { name: 'late', types },
          { name: 'whole', types, startFrom: 'earliest' },
        ]
        await subscribeTo(current.client, 'exact', { subscriptions, url: receiver.url })
        late.push(published)
      }
      await publishing
    }
    const total = rounds * perRound
    await eventually(
      async () => {
        for (const name of [...names.slice(1), 'whole'])
          expect((await routedTo(name)).length).toBeGreaterThanOrEqual(total)
        expect((await routedTo('late')).at(-1)).toBe(total - 1)
        return true
      },
      { timeoutMs: 60_000 },
    )
    for (const name of [...names.slice(1), 'whole']) expect(await routedTo(name), name).toEqual(upTo(total))
    const one = await routedTo('one')
    expect(new Set(one).size).toBe(one.length)
    // It began between the two looks, and has everything since.
    const began = (await routedTo('late'))[0] ?? total
    expect(late[0]! <= began && began <= late[1]! + PARTITIONS).toBe(true)
    const lateOnes = await routedTo('late')
    expect(new Set(lateOnes).size).toBe(lateOnes.length)
    expect(upTo(total, late[1]).every((number) => lateOnes.includes(number))).toBe(true)
    await eventually(
      async () => {
        const { body } = await current.client.call<{ queues: { running: number; waiting: number }[] }>('GET', '/queues')
        return body.queues.every(({ running, waiting }) => running + waiting === 0)
      },
      { timeoutMs: 60_000 },
    )
    for (const partition of partitions.all) {
      const addresses = [...names.slice(1), 'late', 'whole'].map((name) => `exact/subscription:${name}`)
      const counts = await readCounts(
        partition,
        addresses.filter((address) => partitions.of(address) === partition),
      )
      expect(counts.map(imbalance)).toEqual(counts.map(() => 0))
    }
  }, 180_000)
})

describe('a subscription with enough waiting', () => {
  it('leaves the rest in the log, gets all of it in order, and holds nobody up', async () => {
    const [slow, quick] = [eventsPath('enough', 'slow'), eventsPath('enough', 'quick')]
    const gate = Promise.withResolvers<void>()
    receiver.script(slow, () => gate.promise.then(() => ({})))
    const dispatcher = await start({ MILLRACE_SUBSCRIPTION_WAITING: '5' })
    const types = ['exact.*']
    await subscribeTo(dispatcher.client, 'enough', {
      subscriptions: [
        { name: 'slow', types, keyConcurrency: 1 },
        { name: 'quick', types, concurrency: 20 },
      ],
      url: receiver.url,
    })
    for (const number of upTo(60)) await publish(number, 'one')
    await receiver.waitFor(quick, 60)
    await eventually(async () => {
      expect((await dispatcher.client.counts('enough', 'subscription:slow')).accepted).toBe(5)
      return true
    })
    gate.resolve()
    await receiver.waitFor(slow, 60)
    expect(dataAt(receiver, slow)).toEqual(upTo(60))
    expect(await routedTo('slow')).toEqual(upTo(60))
    expect(await routedTo('quick')).toEqual(upTo(60))
  }, 60_000)
})
