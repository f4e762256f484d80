import { existsSync } from 'node:fs'
import { dirname } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { type RedisServer, startRedis } from '../src/index.ts'
import { findServerBinary } from '../src/server-binary.ts'

const servers: RedisServer[] = []

async function start(...options: Parameters<typeof startRedis>): Promise<RedisServer> {
  const server = await startRedis(...options)
  servers.push(server)
  return server
}

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.stop()))
})

describe('startRedis', () => {
  it('answers on its port and on its socket, evicts nothing and saves nothing', async () => {
    const server = await start()
    await server.client().set('greeting', 'hello')
    const bySocket = server.client({ path: server.socketPath })
    expect(await bySocket.get('greeting')).toBe('hello')
    expect(await bySocket.config('GET', 'maxmemory-policy')).toEqual(['maxmemory-policy', 'noeviction'])
    expect(await bySocket.config('GET', 'save')).toEqual(['save', ''])
  })

  it('keeps what was written to the append-only file over kill -9 and restart', async () => {
    const server = await start({ appendonly: true, appendfsync: 'always' })
    const client = server.client()
    await client.set('kept', 'yes')
    const { pid } = server
    await server.kill()
    await server.restart()
    expect(server.pid).not.toBe(pid)
    // The same client: it has reconnected to the same port by itself.
    expect(await client.get('kept')).toBe('yes')
  })

  it('loses its data over a restart when nothing is persisted', async () => {
    const server = await start()
    await server.client().set('kept', 'no')
    await server.restart()
    expect(await server.client().get('kept')).toBeNull()
  })

  it('runs several servers side by side, each with its own data', async () => {
    const [one, two] = await Promise.all([start(), start()])
    await one.client().set('key', 'one')
    await two.flush()
    expect(await one.client().get('key')).toBe('one')
    expect(await two.client().get('key')).toBeNull()
  })

  it('refuses writes at maxmemory', async () => {
    const server = await start({ maxmemory: '1mb' })
    await expect(server.client().set('large', 'x'.repeat(2_000_000))).rejects.toThrow('OOM')
  })

  it('removes its directory at stop', async () => {
    const server = await startRedis()
    expect(existsSync(server.socketPath)).toBe(true)
    await server.stop()
    expect(existsSync(dirname(server.socketPath))).toBe(false)
  })

  it('says how to install a server when there is none', () => {
    expect(() => findServerBinary('/nowhere')).toThrow('apt-get install -y redis-server')
  })
})
