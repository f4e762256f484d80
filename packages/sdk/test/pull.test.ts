import { enqueue, pause } from '@millrace/streams'
import { eventually, startRedis } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import { type ConsumeOptions, consume, type MillraceError } from '../src/index.ts'
import { NAMESPACE, usePulling } from './pull-fixture.ts'

const pulling = usePulling()
const { start, open } = pulling

describe('consume', () => {
  it('takes no more at once than it was told, and no more than the queue allows', async () => {
    await pulling.rig.declare('narrow', { concurrency: 3 })
    let running = 0
    const most: number[] = []
    const handler = async () => {
      most.push(++running)
      const { promise: worked, resolve } = Promise.withResolvers<void>()
      setTimeout(resolve, 5)
      await worked
      running--
    }
    const first = await start('narrow', handler, { concurrency: 2 })
    await pulling.rig.add(
      'narrow',
      Array.from({ length: 30 }, (_, n) => n),
    )
    await pulling.rig.until('narrow', { succeeded: 30 })
    expect(Math.max(...most)).toBe(2)
    await start('narrow', handler)
    await pulling.rig.add(
      'narrow',
      Array.from({ length: 60 }, (_, n) => n),
    )
    await pulling.rig.until('narrow', { succeeded: 90 })
    expect(Math.max(...most)).toBe(3)
    await first.close()
  })

  it('starts jobs at their time and retries them with nobody else there', async () => {
    await pulling.rig.declare('timed')
    const { promise: started, resolve } = Promise.withResolvers<number>()
    await start('timed', () => resolve(Date.now()))
    const job = { address: pulling.rig.address('timed'), lane: 'normal' as const, due: { inMs: 300 }, data: '1' }
    const before = Date.now()
    await enqueue(pulling.rig.partition, [job])
    expect((await started) - before).toBeGreaterThanOrEqual(295)
    await pulling.rig.until('timed', { succeeded: 1, scheduled: 0 })
  })

  it('takes nothing while the queue is paused, and goes on when it is resumed', async () => {
    await pulling.rig.declare('paused')
    let calls = 0
    await start('paused', () => void calls++)
    const by = { who: 'test', at: new Date().toISOString() }
    await pause(pulling.rig.partition, { action: 'pause', address: pulling.rig.address('paused'), by })
    await pulling.rig.add('paused', [1, 2])
    await pulling.rig.until('paused', { waiting: 2, running: 0 })
    expect(calls).toBe(0)
    await pause(pulling.rig.partition, { action: 'resume', address: pulling.rig.address('paused'), by })
    await pulling.rig.until('paused', { succeeded: 2 })
  })

  it('waits for a queue that is not declared, or not to be pulled, and says so once', async () => {
    const told: MillraceError[] = []
    const consumer = consume('unborn', () => undefined, {
      ...{ redis: pulling.rig.server.url, namespace: NAMESPACE, closeTimeoutMs: 0 },
      onError: (error) => told.push(error),
    })
    open.push(consumer)
    await eventually(() => told.length === 1)
    expect(told[0]).toMatchObject({ code: 'sdk.queue_not_pulled' })
    await pulling.rig.declare('unborn')
    await consumer.ready
    await pulling.rig.add('unborn', [1])
    await pulling.rig.until('unborn', { succeeded: 1 })

    await pulling.rig.declare('unborn', { delivery: 'push', endpoint: '/internal/unborn' })
    await eventually(() => told.length === 2)
    await pulling.rig.add('unborn', [2])
    await pulling.rig.declare('unborn', { concurrency: 1 })
    await pulling.rig.until('unborn', { succeeded: 2 })
  })

  it('says that no platform was started on a Redis, and closes while it waits', async () => {
    const bare = await startRedis()
    const told: string[] = []
    const consumer = consume('any', () => undefined, {
      ...{ redis: bare.url, namespace: NAMESPACE },
      onError: (error) => told.push(error.code),
    })
    const refused = expect(consumer.ready).rejects.toMatchObject({ code: 'sdk.closed' })
    await eventually(() => told.includes('sdk.not_set_up'))
    await consumer.close()
    await refused
    await bare.stop()
  })

  it.each<[string, Partial<ConsumeOptions>]>([
    ['redis', { redis: 'http://127.0.0.1' }],
    ['namespace', { namespace: '' }],
    ['concurrency', { concurrency: 0 }],
    ['leaseMs', { leaseMs: 100 }],
    ['closeTimeoutMs', { closeTimeoutMs: Number.NaN }],
  ])('refuses an option that makes no sense: %s', (field, options) => {
    const all = { redis: pulling.rig.server.url, namespace: NAMESPACE, ...options }
    expect(() => consume('any', () => undefined, all)).toThrow(
      expect.objectContaining({ code: 'sdk.invalid_input', message: expect.stringMatching(`^${field} must be`) }),
    )
  })

  it('hears of a limit that changed', async () => {
    await pulling.rig.declare('growing', { concurrency: 1 })
    let running = 0
    let most = 0
    const { promise: go, resolve: release } = Promise.withResolvers<void>()
    await start('growing', async () => {
      most = Math.max(most, ++running)
      await go
      running--
    })
    await pulling.rig.add('growing', [1, 2, 3])
    await pulling.rig.until('growing', { running: 1, waiting: 2 })
    await pulling.rig.declare('growing', { concurrency: 3 })
    await pulling.rig.until('growing', { running: 3, waiting: 0 })
    release()
    await pulling.rig.until('growing', { succeeded: 3 })
    expect(most).toBe(3)
  })

  it('begins on a Redis that is full, and makes room there', async () => {
    await pulling.rig.declare('full')
    await pulling.rig.add('full', [1, 2, 'x'.repeat(5000)])
    await pulling.rig.redis.config('SET', 'maxmemory', '1mb')
    await expect(pulling.rig.add('full', [4])).rejects.toThrow('OOM')
    await start('full', async () => undefined)
    await pulling.rig.until('full', { accepted: 3, succeeded: 3, waiting: 0, running: 0 })
    await pulling.rig.redis.config('SET', 'maxmemory', '0')
  })

  it('goes on when Redis comes back, and loses nothing', async () => {
    await pulling.rig.declare('outage')
    const told = new Set<string>()
    const { promise: go, resolve: release } = Promise.withResolvers<void>()
    await start('outage', () => go, { onError: (error) => told.add(error.code) })
    await pulling.rig.add('outage', [1, 2, 3])
    await pulling.rig.until('outage', { running: 3 })
    await pulling.rig.server.kill('SIGTERM')
    release()
    await eventually(() => told.size > 0)
    expect([...told]).toEqual(['sdk.redis_unavailable'])
    await pulling.rig.server.restart()
    await pulling.rig.until('outage', { succeeded: 3 })
    await pulling.rig.add('outage', [4])
    await pulling.rig.until('outage', { succeeded: 4 })
  })
})
