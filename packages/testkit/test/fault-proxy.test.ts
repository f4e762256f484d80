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
})
