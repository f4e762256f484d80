import { DISPATCHER_METRICS, manifestQueueSchema } from '@millrace/contracts'
import { type Consumer, createQueueRunner, joinPartition } from '@millrace/delivery'
import { createLogger, createMetrics, systemClock } from '@millrace/runtime'
import {
  cancel,
  connect,
  createPartitions,
  enqueue,
  openQueues,
  type Partition,
  readCounts,
  whenReady,
} from '@millrace/streams'
import { eventually, type Receiver, type RedisServer, startReceiver, startRedis } from '@millrace/testkit'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { placeOf } from '../src/delivery/attempt.ts'
import { createEndpointHealth } from '../src/delivery/endpoint-health.ts'
import { createHttpAttempts } from '../src/delivery/http-attempts.ts'
import { createQueueReport } from '../src/delivery/queue-report.ts'
import { createSender, type Sender } from '../src/delivery/sender.ts'
import { OPEN_TARGETS } from './fixture.ts'

let server: RedisServer
let receiver: Receiver
let redis: Redis
let partition: Partition
let consumer: Consumer
let sender: Sender
const logger = createLogger({ app: 'test', level: 'silent' })
beforeAll(async () => {
  server = await startRedis()
  receiver = await startReceiver()
  redis = connect({ url: server.url, role: 'test' })
  await whenReady(redis, { timeoutMs: 5000 })
  partition = createPartitions(redis, 1).of('')
  const on = { onReconnect: () => undefined, onEnd: () => undefined }
  consumer = await joinPartition({ partition, ttlMs: 60_000, logger, ...on })
  sender = createSender()
})
afterAll(async () => {
  await consumer.leave()
  await sender.close()
  redis.disconnect()
  await receiver.stop()
  await server.stop()
})

async function runnerOf(name: string) {
  const address = `shop/${name}`
  await openQueues(partition, [{ address }])
  const definition = { kind: 'queue' as const, ...manifestQueueSchema.parse({ name, endpoint: `/internal/${name}` }) }
  const metrics = createMetrics({ app: 'test', version: '0', maxNames: 10 }).instruments(DISPATCHER_METRICS)
  const maker = createHttpAttempts(
    address,
    { ...placeOf(definition, receiver.url, OPEN_TARGETS.of('shop')), sign: () => '' },
    {
      sender,
      metrics,
      logger,
      clock: systemClock,
      random: () => 0,
      health: createEndpointHealth(systemClock),
      onTransition: () => undefined,
    },
  )
  const runner = createQueueRunner(address, maker, {
    partition,
    logger,
    report: createQueueReport(address, { metrics, logger, clock: systemClock }),
    consumer: () => consumer,
    onClaimed: () => undefined,
    onAmbiguousClaim: () => undefined,
  })
  return { runner, address, add: (data: number) => enqueue(partition, [{ address, lane: 'normal', data: `${data}` }]) }
}

describe('a queue runner', () => {
  it('claims again for a wake-up that overtakes the answer of a claim which found nothing', async () => {
    const { runner, add } = await runnerOf('mail')
    await add(0)
    runner.wake()
    await receiver.waitFor('/internal/mail', 1)
    // No sweep here: nothing but wake-ups makes this runner claim. Each round the claim is sent, then the job comes, and
    // the wake-up for it arrives while the empty-handed answer is still on its way.
    for (let n = 1; n <= 20; n++) {
      runner.wake()
      const added = add(n)
      runner.wake()
      await added
      await receiver.waitFor('/internal/mail', n + 1, 2000)
    }
    await runner.drain()
    expect(receiver.requests('/internal/mail')).toHaveLength(21)
  })

  it('ends the attempt at a job whose cancellation overtakes the answer that brings it', async () => {
    const { runner, add, address } = await runnerOf('export')
    receiver.script('/internal/export', { kind: 'hang' })
    // Redis claims first and cancels then; its message comes on another connection than the claimed job. Where the cancellation
    // reached Redis before the claim, the job never ran, and the next one is tried.
    let jobs = 0
    // From here on Redis has the script, so that a cancellation is one message, and a settle cannot get in front of it.
    expect((await cancel(partition, { id: `job_${'0'.repeat(19)}`, by: { who: 'ada' } })).kind).toBe('unknown')
    for (let kind = 'cancelled'; kind === 'cancelled'; jobs++) {
      const [job] = await add(jobs)
      runner.wake()
      const cancelled = cancel(partition, { id: job!.id, by: { who: 'ada' } })
      runner.cancel(job!.id)
      kind = (await cancelled).kind
      expect(['cancelled', 'cancelling']).toContain(kind)
    }
    await eventually(async () => (await readCounts(partition, [address]))[0]?.cancelled === jobs, { timeoutMs: 5000 })
    await runner.drain()
  })

  it('drains at once when it has nothing, and claims nothing afterwards', async () => {
    const { runner, add } = await runnerOf('print')
    await runner.drain()
    await add(1)
    runner.wake()
    await runner.drain()
    expect(receiver.requests('/internal/print')).toEqual([])
  })
})
