import { readRedisUrl } from '@millrace/contracts'
import { eventually, type RedisCluster, startRedisCluster } from '@millrace/testkit'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  clusterServers,
  connectBlocking,
  connectSubscriber,
  createLogReader,
  enqueue,
  fullAddress,
  isConnectionError,
  joinPlatform,
  NotReplicatedError,
  openQueues,
  type Partition,
  type Platform,
  readCounts,
  readLogRange,
  rememberType,
  toStoreProblem,
  UnfitServerError,
  whenReady,
} from '../src/index.ts'

const PARTITIONS = 16
const ADDRESS = fullAddress('shop', 'mail')
const silent = { warn: () => undefined, error: () => undefined }

let cluster: RedisCluster
let platform: Platform

beforeAll(async () => {
  cluster = await startRedisCluster({ appendonly: true, appendfsync: 'always', nodeTimeoutMs: 1000 })
  platform = await join()
})
afterAll(async () => {
  platform?.close()
  await cluster?.stop()
})

function join(partitions = PARTITIONS, waitReplicas = 0): Promise<Platform> {
  return joinPlatform({ url: cluster.url, role: 'test', partitions, waitReplicas, logger: silent, timeoutMs: 60_000 })
}

const job = { address: ADDRESS, lane: 'normal', data: '{}' } as const

/** Until the partition takes it; how often it was refused before. */
async function enqueueAtLast(partition: Partition): Promise<number> {
  let refused = 0
  await eventually(async () => {
    try {
      await enqueue(partition, [job])
      return true
    } catch (error) {
      if (!isConnectionError(error)) throw error
      refused++
      return false
    }
  })
  return refused
}

it('spreads partitions over all primaries, and works in each of them', async () => {
  const ports = new Set<number>()
  for (const partition of platform.partitions.all) {
    await openQueues(partition, [{ address: ADDRESS }])
    await enqueue(partition, [job, job])
    expect(await readCounts(partition, [ADDRESS])).toMatchObject([{ accepted: 2, waiting: 2 }])
    ports.add((await cluster.primaryOf(partition.keys.log)).port)
  }
  expect(ports.size).toBe(3)
  expect(new Set((await cluster.primaries()).map(({ port }) => port))).toEqual(ports)
  // A transaction of several commands, with the keys of the registry.
  await rememberType(platform.redis, { namespace: 'shop', type: 'order.placed', nowMs: Date.now() })
  for (const { number } of platform.partitions.all) expect(platform.problem(number)).toBeUndefined()
  expect(platform.durability.now()).toEqual({ durability: 'fsync', replicas: 1 })
})

it('sends a script to a server that has never seen it', async () => {
  const partition = platform.partitions.all[1] as Partition
  for (const node of await cluster.primaries()) await node.client().script('FLUSH')
  await enqueue(partition, [job])
})

it('hears wake-ups of every partition on one connection to any node', async () => {
  const subscriber = connectSubscriber({ url: cluster.url, role: 'test' })
  const heard = new Set<string>()
  subscriber.on('message', (channel: string) => heard.add(channel))
  const channels = platform.partitions.all.map(({ keys }) => keys.wake)
  await subscriber.subscribe(...channels)
  for (const { redis, keys } of platform.partitions.all) await redis.publish(keys.wake, '@due')
  await eventually(() => heard.size === channels.length)
  subscriber.disconnect()
})

it('refuses to start while one of the primaries may evict', async () => {
  const primary = (await cluster.primaries())[1] as (typeof cluster.nodes)[number]
  await primary.client().config('SET', 'maxmemory-policy', 'allkeys-lru')
  await expect(join()).rejects.toThrow(UnfitServerError)
  await expect(join()).rejects.toThrow(`127.0.0.1:${primary.port}`)
  await primary.client().config('SET', 'maxmemory-policy', 'noeviction')
  await expect(join(8)).rejects.toThrow('MILLRACE_PARTITIONS=16')
})

it('names its servers', async () => {
  const servers = await clusterServers(cluster.url)
  expect(servers?.map(({ role }) => role)).toEqual([...Array(3).fill('primary'), ...Array(3).fill('replica')])
  expect(await clusterServers('redis://127.0.0.1:1')).toBeUndefined()
})

describe('waiting for replicas', () => {
  it('says that nothing is accepted which no replica has, whoever wrote it', async () => {
    const waiting = await join(PARTITIONS, 1)
    const partition = waiting.partitions.all[7] as Partition
    const once = { ...job, idempotency: { key: 'one', fingerprint: 'f' } }
    await Promise.all([1, 2, 3].map(() => enqueue(partition, [job])))

    const primary = await cluster.primaryOf(partition.keys.log)
    const replication = await primary.client().info('replication')
    const port = Number(/^slave0:ip=[^,]*,port=(\d+)/m.exec(replication)?.[1])
    const replica = cluster.nodes.find((node) => node.port === port) as typeof primary
    process.kill(replica.pid, 'SIGSTOP')
    await expect(enqueue(partition, [once])).rejects.toThrow(NotReplicatedError)
    // It is there, and whoever asks again gets the same job, and the same answer.
    await expect(enqueue(partition, [once])).rejects.toThrow('0 of 1 replicas')
    expect(toStoreProblem(new NotReplicatedError('0 of 1 replicas'))).toMatchObject({ code: 'store.unavailable' })
    process.kill(replica.pid, 'SIGCONT')
    await eventually(async () => {
      const [again] = await enqueue(partition, [once]).catch(() => [])
      return again?.kind === 'replayed'
    })
    expect(await readCounts(partition, [ADDRESS])).toMatchObject([{ accepted: 6, waiting: 6 }])
    waiting.close()
  })

  it('takes no word of a server for what was written on another connection', async () => {
    const waiting = await join(PARTITIONS, 1)
    const partition = waiting.partitions.all[7] as Partition
    const confirm = partition.beginWrite?.()
    partition.redis.disconnect(true)
    await eventually(() =>
      enqueue(partition, [job]).then(
        () => true,
        () => false,
      ),
    )
    await expect(confirm?.()).rejects.toThrow('the connection was lost')
    waiting.close()
  })
})

describe('a slot that is moved', () => {
  it('refuses every script while only some of its keys are there, writes nothing, and goes on at the new node', async () => {
    const partition = platform.partitions.all[3] as Partition
    const slot = await cluster.slotOf(partition.keys.log)
    const from = await cluster.primaryOf(partition.keys.log)
    const to = (await cluster.primaries()).find((node) => node !== from) as typeof from
    const before = await readLogRange(partition)
    const blocking = connectBlocking({ url: cluster.url, partition: 3, role: 'test', blockMs: 20_000 })
    await whenReady(blocking, { timeoutMs: 60_000 })
    const reader = createLogReader({ partition, blocking, group: 'test' })
    const waiting = reader
      .read({ after: before.at(-1)?.position ?? '0-0', count: 1, blockMs: 20_000 })
      .catch((error: Error) => error)

    const refusals: string[] = []
    await cluster.moveSlot(slot, to, async () => {
      const refuse = (error: Error) => {
        expect(isConnectionError(error)).toBe(true)
        refusals.push(error.message.split(' ')[0] as string)
      }
      await enqueue(partition, [{ ...job, due: { inMs: 3_600_000 } }]).catch(refuse)
      await openQueues(partition, [{ address: 'shop/new' }]).catch(refuse)
    })
    expect(refusals).toEqual(Array(4).fill('TRYAGAIN'))

    await enqueueAtLast(partition)
    expect(await cluster.primaryOf(partition.keys.log)).toBe(to)
    expect(await readCounts(partition, [ADDRESS])).toMatchObject([{ accepted: 3, waiting: 3, scheduled: 0 }])
    const facts = (await readLogRange(partition)).slice(before.length).filter(({ kind }) => kind === 'job')
    expect(facts.map(({ type }) => type)).toEqual(['job.enqueued'])
    // Whoever waited for the log is told that it lies elsewhere, and reads on there.
    expect(await waiting).toMatchObject({ message: expect.stringMatching(/^(MOVED|UNBLOCKED)|closed/i) })
    await eventually(async () => {
      const events = await reader.read({ after: before.at(-1)!.position, count: 9, blockMs: 50 }).catch(() => [])
      return events.length === facts.length
    })
    blocking.disconnect()
  })
})

describe('a primary that dies', () => {
  it('stops its partitions until its replica is the primary, and no others', async () => {
    const partition = platform.partitions.all[5] as Partition
    const dead = await cluster.primaryOf(partition.keys.log)
    const others: Partition[] = []
    for (const other of platform.partitions.all)
      if ((await cluster.primaryOf(other.keys.log)) !== dead) others.push(other)
    const subscriber: Redis = connectSubscriber({ url: cluster.url, role: 'test' })
    const heard: string[] = []
    subscriber.on('message', (channel: string) => heard.push(channel))
    await subscriber.subscribe(partition.keys.wake)

    await dead.kill()
    for (const other of others) await enqueue(other, [job])
    expect(platform.problem(5)).toMatch(/^connection is /)
    expect(await enqueueAtLast(partition)).toBeGreaterThan(0)
    expect(await readCounts(partition, [ADDRESS])).toMatchObject([{ accepted: 3, waiting: 3 }])

    await dead.restart()
    await eventually(() => platform.partitions.all.every(({ number }) => platform.problem(number) === undefined))
    // Wherever the subscriber was, it is again where it hears.
    await eventually(async () => {
      await partition.redis.publish(partition.keys.wake, '@due')
      return heard.length > 0
    })
    subscriber.disconnect()
  })
})

describe('the URL', () => {
  it.each([
    ['redis://host:6379/1', { kind: 'single', url: 'redis://host:6379/1' }],
    ['unix:///run/redis.sock', { kind: 'single' }],
    [
      'redis+cluster://a:7000,[::1]:7001,b',
      {
        kind: 'cluster',
        tls: false,
        nodes: [
          { host: 'a', port: 7000 },
          { host: '::1', port: 7001 },
          { host: 'b', port: 6379 },
        ],
      },
    ],
    [
      'rediss+sentinel://app:p%40ss@a,b:26380/mymaster/2?sentinel_password=x',
      {
        ...{ kind: 'sentinel', tls: true, username: 'app', password: 'p@ss', name: 'mymaster', db: 2 },
        sentinels: [
          { host: 'a', port: 26379 },
          { host: 'b', port: 26380 },
        ],
        sentinelPassword: 'x',
      },
    ],
  ])('%s is read', (url, expected) => expect(readRedisUrl(url)).toMatchObject(expected))

  it.each([
    ['http://host', /expected redis:\/\//],
    ['redis+cluster://', /expected host:port, not ""/],
    ['redis+cluster://a:7000/0', /a cluster has no databases/],
    ['redis+cluster://a:7000,b:x', /not "b:x"/],
    ['redis+cluster://a:70000', /a port from 1 to 65535/],
    ['redis+sentinel://a:26379', /the name that the sentinels have/],
    ['redis+sentinel://a:26379/mymaster/x', /the number of a database/],
    ['redis+sentinel://a:26379/mymaster?db=2', /not db/],
  ])('%s is refused with what was expected', (url, reason) =>
    expect(readRedisUrl(url)).toMatchObject({ kind: 'refused', reason: expect.stringMatching(reason) }),
  )
})
