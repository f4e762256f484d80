import type { Socket } from 'node:net'
import { eventually, type RedisSentinels, startRedisSentinels } from '@millrace/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import {
  connectBlocking,
  createLogReader,
  enqueue,
  fullAddress,
  isConnectionError,
  joinPlatform,
  openQueues,
  type Partition,
  readCounts,
  whenReady,
} from '../src/index.ts'

let watched: RedisSentinels
beforeAll(async () => {
  watched = await startRedisSentinels({ appendonly: true, appendfsync: 'always', downAfterMs: 500 })
})
afterAll(() => watched?.stop())

const ADDRESS = fullAddress('shop', 'mail')
const job = { address: ADDRESS, lane: 'normal', data: '{}' } as const

it('goes on with the replica that sentinels put in the place of a dead primary', async () => {
  const reconnected: string[] = []
  const platform = await joinPlatform({
    ...{ url: watched.url, role: 'test', partitions: 2, timeoutMs: 60_000 },
    logger: { warn: () => undefined, error: () => undefined },
    onReconnect: (connection) => reconnected.push(connection),
  })
  const partition = platform.partitions.all[1] as Partition
  const blocking = connectBlocking({ url: watched.url, partition: 1, role: 'test', blockMs: 1000 })
  await whenReady(blocking, { timeoutMs: 60_000 })
  const reader = createLogReader({ partition, blocking, group: 'test' })
  const heard: string[] = []
  platform.subscriber.on('message', (channel: string) => heard.push(channel))
  await platform.subscriber.subscribe(partition.keys.wake)
  await openQueues(partition, [{ address: ADDRESS }])
  const [before] = await enqueue(partition, [job])
  expect(platform.durability.now()).toEqual({ durability: 'fsync', replicas: 1 })

  const dead = await watched.primary()
  const bringBack = await watched.killPrimary()
  let after: string | undefined
  let refused = 0
  await eventually(async () => {
    try {
      after = (await enqueue(partition, [job]))[0]?.id
      return true
    } catch (error) {
      if (!isConnectionError(error)) throw error
      refused++
      return false
    }
  })
  expect(refused).toBeGreaterThan(0)
  expect((partition.redis.stream as Socket).remotePort).not.toBe(dead.port)
  // The sentinel that is asked here may hear of it later than the one that told the connection.
  await eventually(async () => (await watched.primary()) !== dead)
  expect(await readCounts(partition, [ADDRESS])).toMatchObject([{ accepted: 2, waiting: 2 }])
  await eventually(async () => {
    const events = await reader.read({ after: '0-0', count: 9, blockMs: 100 }).catch(() => [])
    return events.map(({ entityId }) => entityId).join() === [before?.id, after].join()
  })
  await eventually(async () => {
    await partition.redis.publish(partition.keys.wake, '@due')
    return heard.length > 0
  })
  expect(new Set(reconnected)).toEqual(new Set(['commands', 'wakeups']))
  blocking.disconnect()
  platform.close()
  await bringBack({ asReplica: true })
})

it('leaves a primary that was replaced while it was well, before that knows of it', async () => {
  const platform = await joinPlatform({
    ...{ url: watched.url, role: 'test', partitions: 2, timeoutMs: 60_000 },
    logger: { warn: () => undefined, error: () => undefined },
  })
  const { redis } = platform.partitions.all[0] as Partition
  const replaced = await watched.switchOver()
  const { port } = await watched.primary()
  for (const connection of [redis, platform.subscriber])
    await eventually(() => (connection.stream as Socket).remotePort === port && connection.status === 'ready')
  const asked = replaced.client()
  expect(await asked.info('replication')).toMatch(/^role:master/m)
  asked.disconnect()
  platform.close()
})
