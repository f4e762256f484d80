import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { claim, enqueue, openQueues, readPullConsumers, takeOver } from '../src/index.ts'
import { ADDRESS, type Bench, expectBalance, prepare } from './fixture.ts'

const PUSHED = 'shop/print'
const PULLER = `${ADDRESS}@host-1`

let server: RedisServer
let bench: Bench
beforeAll(async () => {
  server = await startRedis()
})
afterAll(() => server.stop())
beforeEach(async () => {
  bench = await prepare(server, { pull: true })
  await openQueues(bench.partition, [{ address: PUSHED }])
})
afterEach(async () => {
  for (const address of [ADDRESS, PUSHED]) await expectBalance(bench, address)
})

async function lapse(consumer: string): Promise<void> {
  const { redis, keys } = bench.partition
  await redis.zadd(keys.consumers, '1', consumer)
}
const consumers = () => bench.partition.redis.zrange(bench.partition.keys.consumers, '0', '-1')

describe('takeover from a pulled queue', () => {
  it('is its consumers` alone: a dispatcher takes nothing, and forgets no name that still holds something', async () => {
    await bench.join(PULLER)
    const [id] = await bench.add(1)
    expect(await bench.take(PULLER)).toHaveLength(1)
    await lapse(PULLER)
    await bench.join('dispatcher')
    expect(await takeOver(bench.partition, { consumer: 'dispatcher', limit: 10 })).toEqual([])
    expect(await consumers()).toContain(PULLER)
    const heir = `${ADDRESS}@host-2`
    await bench.join(heir)
    const taken = await takeOver(bench.partition, { consumer: heir, limit: 10, pulls: ADDRESS })
    expect(taken).toMatchObject([{ id, attempt: 1, epoch: 2 }])
    expect(await consumers()).not.toContain(PULLER)
  })

  it('leaves the rest of a dispatcher that held jobs of both kinds to a dispatcher', async () => {
    await bench.join('old')
    const [pulled] = await bench.add(1)
    const [pushed] = await enqueue(bench.partition, [{ address: PUSHED, lane: 'normal', data: '2' }])
    await bench.take('old')
    await claim(bench.partition, { consumer: 'old', address: PUSHED, concurrency: 5, want: 5 })
    await lapse('old')
    await bench.join(PULLER)
    const first = await takeOver(bench.partition, { consumer: PULLER, limit: 10, pulls: ADDRESS })
    expect(first.map(({ id }) => id)).toEqual([pulled])
    expect(await consumers()).toContain('old')
    await bench.join('dispatcher')
    const second = await takeOver(bench.partition, { consumer: 'dispatcher', limit: 10 })
    expect(second.map(({ id }) => id)).toEqual([pushed?.id])
    expect(await consumers()).not.toContain('old')
  })

  it('takes no more than asked, and a dispatcher has what is left once the queue is pushed', async () => {
    await bench.join(PULLER)
    const ids = await bench.add(1, 2, 3)
    await bench.take(PULLER)
    await lapse(PULLER)
    const heir = `${ADDRESS}@host-2`
    await bench.join(heir)
    const taken = await takeOver(bench.partition, { consumer: heir, limit: 1, pulls: ADDRESS })
    expect(taken.map(({ id }) => id)).toEqual(ids.slice(0, 1))
    expect(await readPullConsumers(bench.partition, ADDRESS)).toEqual([heir])
    await openQueues(bench.partition, [{ address: ADDRESS }])
    await bench.join('dispatcher')
    const rest = await takeOver(bench.partition, { consumer: 'dispatcher', limit: 10 })
    expect(rest.map(({ id }) => id)).toEqual(ids.slice(1))
  })
})
