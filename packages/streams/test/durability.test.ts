import { eventually, type RedisServer, startFaultProxy, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { connect, type DurabilityView, watchDurability, whenReady } from '../src/index.ts'

let server: RedisServer
beforeAll(async () => {
  server = await startRedis({ appendonly: true, appendfsync: 'always' })
})
afterAll(() => server.stop())

async function watching(url: string, use: (view: DurabilityView) => Promise<void>): Promise<void> {
  const redis = connect({ url, role: 'test' })
  await whenReady(redis, { timeoutMs: 5000 })
  const view = await watchDurability([redis])
  await use(view)
  view.stop()
  redis.disconnect()
}

it('is what the settings of the server say, as they are now', () =>
  watching(server.url, async (view) => {
    expect(view.now()).toEqual({ durability: 'fsync', replicas: 0 })
    const admin = server.client()
    for (const [setting, value, durability] of [
      ['appendfsync', 'everysec', 'everysec'],
      ['appendfsync', 'no', 'memory'],
      ['appendonly', 'no', 'memory'],
    ] as const) {
      await admin.config('SET', setting, value)
      await view.refresh()
      expect(view.now().durability, `${setting} ${value}`).toBe(durability)
    }
    await admin.config('SET', 'appendonly', 'yes')
    await admin.config('SET', 'appendfsync', 'always')
  }))

it('counts the replicas that are in step', () =>
  watching(server.url, async (view) => {
    const replica = await startRedis()
    await replica.client().replicaof('127.0.0.1', server.port)
    await eventually(async () => {
      await view.refresh()
      return view.now().replicas === 1
    })
    await replica.stop()
    await eventually(async () => {
      await view.refresh()
      return view.now().replicas === 0
    })
  }))

it('is unknown where the server does not tell', async () => {
  await server.client().call('ACL', 'SETUSER', 'tenant', 'on', '>secret', '~*', '&*', '+@all', '-config')
  await watching(`redis://tenant:secret@127.0.0.1:${server.port}`, async (view) => {
    expect(view.now()).toEqual({ durability: 'unknown', replicas: 0 })
  })
})

it('is forgotten with the connection, and asked again of the next', async () => {
  const proxy = await startFaultProxy({ targetPort: server.port })
  await watching(proxy.url, async (view) => {
    await proxy.cut()
    await eventually(() => view.now().durability === 'unknown')
    expect(view.now()).toEqual({ durability: 'unknown' })
    await server.client().config('SET', 'appendfsync', 'everysec')
    await proxy.heal()
    await eventually(() => view.now().durability === 'everysec')
  })
  await proxy.stop()
})
