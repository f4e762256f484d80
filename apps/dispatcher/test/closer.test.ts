import { decideApply, parseManifest } from '@millrace/engine'
import { systemClock } from '@millrace/runtime'
import {
  connect,
  connectSubscriber,
  createPartitions,
  followRegistry,
  openQueues,
  readService,
  register,
  registryPartition,
  whenReady,
} from '@millrace/streams'
import { type RedisServer, startRedis } from '@millrace/testkit'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startCloser } from '../src/closer.ts'
import { manifestOf, OPEN_TARGETS } from './fixture.ts'

let server: RedisServer
let redis: Redis
let subscriber: Redis
beforeAll(async () => {
  server = await startRedis()
  redis = connect({ url: server.url, role: 'test' })
  subscriber = connectSubscriber({ url: server.url, role: 'test' })
  await whenReady(redis, { timeoutMs: 5000 })
})
afterAll(async () => {
  redis.disconnect()
  subscriber.disconnect()
  await server.stop()
})

async function apply(namespace: string, names: readonly string[]): Promise<void> {
  const parsed = parseManifest(
    manifestOf(
      namespace,
      names.map((name) => ({ name })),
    ),
  )
  if (parsed.kind === 'refused') throw new Error(JSON.stringify(parsed.mistakes))
  const current = await readService(redis, namespace)
  const at = new Date().toISOString()
  const input = { current, declaration: parsed.declaration, url: 'http://127.0.0.1:9', who: 'test', at }
  const { service } = decideApply(input)
  const stored = { service, expectedVersion: current?.version ?? 0, event: {} }
  expect(await register(registryPartition(redis), stored)).toBe('registered')
}

describe('the closer', () => {
  it('changes nothing that another has done already, however old its view of the registry is', async () => {
    const partitions = createPartitions(redis, 1)
    await apply('shop', ['mail', 'print'])
    await openQueues(partitions.of(''), [{ address: 'shop/mail' }, { address: 'shop/print' }])
    await apply('shop', ['mail'])
    const errors: unknown[] = []
    const onError = (error: unknown) => void errors.push(error)
    const registry = await followRegistry({ redis, subscriber, onError })
    // From here on the view stands still, as that of a process whose messages are lost.
    registry.stop()
    const closeOnce = () =>
      startCloser({
        registry,
        registryPartition: registryPartition(redis),
        partitions,
        clock: systemClock,
        sender: { keepOnly: () => undefined },
        targets: OPEN_TARGETS,
        onError,
      }).stop()

    await closeOnce()
    expect(await readService(redis, 'shop')).toMatchObject({ version: 3, closing: [] })
    await closeOnce()
    expect(await readService(redis, 'shop')).toMatchObject({ version: 3, closing: [] })
    await apply('shop', ['mail', 'print'])
    await openQueues(partitions.of(''), [{ address: 'shop/print' }])
    await closeOnce()
    expect(await readService(redis, 'shop')).toMatchObject({
      version: 4,
      queues: [{ name: 'mail' }, { name: 'print' }],
    })
    expect(errors).toEqual([])
  })
})
