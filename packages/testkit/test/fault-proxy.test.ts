import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { eventually, type FaultProxy, type RedisServer, startFaultProxy, startRedis } from '../src/index.ts'

let redis: RedisServer
let proxy: FaultProxy

beforeEach(async () => {
  redis = await startRedis()
  proxy = await startFaultProxy({ targetPort: redis.port })
})

afterEach(async () => {
  await redis.stop()
  await proxy.stop()
})

describe('startFaultProxy', () => {
  it('passes bytes both ways', async () => {
    const client = redis.client({ port: proxy.port })
    await client.set('key', 'x'.repeat(1_000_000))
    expect(await client.strlen('key')).toBe(1_000_000)
    expect(proxy.url).toBe(`redis://127.0.0.1:${proxy.port}`)
  })

  it('cuts: a request under way fails, new connections are refused, until it heals', async () => {
    const client = redis.client({ port: proxy.port, retryStrategy: () => null })
    await client.ping()
    const blocked = client.blpop('never', 0)
    // A command that has an answer coming is one that the server has seen.
    await eventually(async () => (await redis.client().info('clients')).includes('blocked_clients:1'))
    await Promise.all([expect(blocked).rejects.toThrow(), proxy.cut()])
    const refused = redis.client({ port: proxy.port, lazyConnect: true, retryStrategy: () => null })
    await expect(refused.connect()).rejects.toThrow()
    await proxy.heal()
    expect(await redis.client({ port: proxy.port }).ping()).toBe('PONG')
  })

  it('stalls: nothing passes and nothing fails, and what waited passes on resume', async () => {
    const client = redis.client({ port: proxy.port })
    await client.ping()
    proxy.stall()
    const waiting = client.set('key', 'late')
    const newcomer = redis.client({ port: proxy.port })
    const alsoWaiting = newcomer.set('other', 'late')
    await eventually(() => newcomer.status === 'connect', { what: 'the proxy to accept a connection while it stalls' })
    expect(await redis.client().exists('key', 'other')).toBe(0)
    proxy.resume()
    expect(await Promise.all([waiting, alsoWaiting])).toEqual(['OK', 'OK'])
  })

  it('freezes: the connections there are stay open and pass nothing, new ones work', async () => {
    const client = redis.client({ port: proxy.port, socketTimeout: 200, maxRetriesPerRequest: 0 })
    await client.ping()
    proxy.freeze()
    expect(proxy.frozen()).toBe(1)
    // It may fail before the next line is through.
    const lost = expect(client.set('key', 'lost')).rejects.toThrow()
    expect(await redis.client({ port: proxy.port }).ping()).toBe('PONG')
    await lost
    await eventually(() => proxy.frozen() === 0, { what: 'the client to give its frozen connection up' })
    expect(await redis.client().exists('key')).toBe(0)
  })

  it('slows: what passes takes so long in either direction, and keeps its order', async () => {
    const client = redis.client({ port: proxy.port })
    await client.ping()
    proxy.slow(60)
    const askedAt = performance.now()
    await Promise.all([client.rpush('list', 'a'), client.rpush('list', 'b')])
    expect(performance.now() - askedAt).toBeGreaterThan(115)
    proxy.slow(0)
    expect(await client.lrange('list', 0, -1)).toEqual(['a', 'b'])
  })

  it('keeps the order of what is under way while it becomes quick again', async () => {
    const client = redis.client({ port: proxy.port })
    await client.ping()
    for (let round = 0; round < 20; round++) {
      proxy.slow(15.9)
      const sent: Promise<unknown>[] = []
      // Pieces of their own, at times that are no whole milliseconds apart.
      for (let n = 0; n < 40; n++) {
        sent.push(client.rpush(`list:${round}`, n))
        if (n === 20) proxy.slow(0)
        await new Promise(setImmediate)
      }
      await Promise.all(sent)
      const kept = await client.lrange(`list:${round}`, 0, -1)
      expect(kept).toEqual(Array.from({ length: 40 }, (_, n) => String(n)))
    }
  })
})
