import { eventually, type RedisServer, type RedisServerOptions, startRedis } from '@millrace/testkit'
import { afterEach, describe, expect, it } from 'vitest'
import {
  connect,
  type OpenRedis,
  openRedis,
  RedisUnreachableError,
  readPartitionCount,
  UnfitServerError,
  whenReady,
  whenServing,
} from '../src/index.ts'

let servers: RedisServer[] = []
let opened: OpenRedis[] = []
afterEach(async () => {
  for (const one of opened) one.disconnect()
  await Promise.all(servers.map((server) => server.stop()))
  servers = []
  opened = []
})

const silent = { info: () => undefined, warn: () => undefined, error: () => undefined }

async function serverWith(options: RedisServerOptions = {}): Promise<RedisServer> {
  const server = await startRedis(options)
  servers.push(server)
  return server
}

async function open(url: string, timeoutMs = 400): Promise<OpenRedis> {
  const one = await openRedis({ url, role: 'test', partitions: 1, logger: silent, timeoutMs })
  opened.push(one)
  return one
}

const refusalOf = (url: string) =>
  open(url).then(
    () => undefined,
    (error: Error) => error,
  )

describe('a start', () => {
  it('waits for a cluster that forms', async () => {
    const server = await serverWith({ settings: { 'cluster-enabled': 'yes' } })
    const url = `redis+cluster://127.0.0.1:${server.port}`
    const early = await refusalOf(url)
    expect(early).toBeInstanceOf(RedisUnreachableError)
    expect(early?.message).toMatch(/could not for 400 ms: CLUSTERDOWN .*--cluster check says which/)

    const waiting = open(url, 20_000)
    const asked = () =>
      server
        .client()
        .info('commandstats')
        .then((text) => /cmdstat_fcall:.*?failed_calls=(\d+)|rejected_calls=(\d+)/.exec(text))
    await eventually(async () => (await asked()) !== null)
    await server.client().call('CLUSTER', 'ADDSLOTSRANGE', '0', '16383')
    expect((await waiting).partitions.all).toHaveLength(1)
  })

  it('on a replica says that it is one, and goes on when it is no more', async () => {
    const [primary, replica] = [await serverWith(), await serverWith()]
    await replica.client().replicaof('127.0.0.1', primary.port)
    const error = await refusalOf(replica.url)
    expect(error).toBeInstanceOf(RedisUnreachableError)
    expect(error?.message).toMatch(/READONLY .*has to name its primary, or the sentinels/)
    const waiting = open(replica.url, 20_000)
    await replica.client().call('REPLICAOF', 'NO', 'ONE')
    expect((await waiting).facts.version).toMatch(/^\d/)
  })

  it('on a server that writes nothing without its replicas says so, and goes on when it does', async () => {
    const server = await serverWith({ settings: { 'min-replicas-to-write': '1' } })
    const error = await refusalOf(server.url)
    expect(error).toBeInstanceOf(RedisUnreachableError)
    expect(error?.message).toMatch(/NOREPLICAS .*min-replicas-to-write\): start them/)
    const waiting = open(server.url, 20_000)
    await server.client().config('SET', 'min-replicas-to-write', '0')
    expect((await waiting).partitions.all).toHaveLength(1)
  })

  it('that only reads, on a replica that has lost its primary, says that', async () => {
    const replica = await serverWith({ settings: { 'replica-serve-stale-data': 'no' } })
    await replica.client().replicaof('127.0.0.1', 1)
    const redis = connect({ url: replica.url, role: 'test' })
    await whenReady(redis, { timeoutMs: 5000 })
    const reading = whenServing(() => readPartitionCount(redis), { timeoutMs: 400 })
    await expect(reading).rejects.toThrow(/MASTERDOWN .*has lost its primary/)
    redis.disconnect()
  })

  it.each([
    ['a command', ['-fcall'], 'fcall'],
    ['a command of its scripts', ['-hsetnx'], "can't run this command"],
  ])('whose user lacks %s says so at once, and what to give it', async (_what, lacks, named) => {
    const server = await serverWith()
    await server.client().call('ACL', 'SETUSER', 'millrace', 'on', '>secret', '~*', '&*', '+@all', ...lacks)
    const error = await refusalOf(`redis://millrace:secret@127.0.0.1:${server.port}`)
    expect(error).toBeInstanceOf(UnfitServerError)
    expect(error?.message).toContain(named)
    expect(error?.message).toContain('ACL SETUSER')
  })

  it('on a full server needs the scripts to be there, and says so', async () => {
    const server = await serverWith()
    await server.client().config('SET', 'maxmemory', '1mb')
    const error = await refusalOf(server.url)
    expect(error).toBeInstanceOf(UnfitServerError)
    expect(error?.message).toMatch(/Raise maxmemory with CONFIG SET maxmemory/)

    await server.client().config('SET', 'maxmemory', '0')
    await open(server.url)
    await server.client().config('SET', 'maxmemory', '1mb')
    expect((await open(server.url)).partitions.all).toHaveLength(1)
  })
})
