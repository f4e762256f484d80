import { claim, createPartitions, enqueue, imbalance, lease, openQueues, readCounts } from '@millrace/streams'
import { startReceiver, startRedis } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import { applyTo, dispatcherOn, pathOf } from './fixture.ts'

const JOBS = 100_000
const BATCH = 500
/** A few moves of 200 may fall into one millisecond; one of all would hold the server up for seconds. */
const MOST_AT_ONCE = 2000

describe('100,000 jobs that are due in the same millisecond', () => {
  it('arrive exactly once, and other queues are delivered meanwhile', { timeout: 240_000 }, async () => {
    const redis = await startRedis()
    const receiver = await startReceiver()
    const client = redis.client()
    const partition = createPartitions(client, 1).all[0]!
    const address = 'flood/tick'
    await openQueues(partition, [{ address }])

    // In before anybody moves: all wait for one time.
    const expected = new Set<string>()
    const due = { atMs: Date.now() + 1000 }
    for (let n = 0; n < JOBS; n += BATCH) {
      const jobs = Array.from({ length: BATCH }, () => ({ address, lane: 'normal' as const, data: '{}', due }))
      for (const { id } of await enqueue(partition, jobs)) expected.add(id)
    }
    expect(expected.size).toBe(JOBS)
    // The dispatcher moves what is due for every queue of the partition; afterwards a worker of our own takes the flood.
    const { dispatcher, client: api } = await dispatcherOn(redis.url)
    const scheduled = async () => (await readCounts(partition, [address]))[0]!.scheduled
    const arrived = new Set<string>()
    const movedAt = new Map<number, number>()
    const takeFlood = async () => {
      await lease(partition, { action: 'join', consumer: 'worker', ttlMs: 120_000 })
      while (arrived.size < JOBS) {
        const taken = await claim(partition, { consumer: 'worker', address, concurrency: JOBS, want: BATCH })
        if (taken.kind !== 'claimed')
          throw new Error(`${JOBS - arrived.size} jobs are missing: the claim says ${taken.kind}`)
        for (const { id, readyAtMs } of taken.jobs) {
          expect(arrived.has(id), 'once').toBe(false)
          arrived.add(id)
          movedAt.set(readyAtMs, (movedAt.get(readyAtMs) ?? 0) + 1)
        }
      }
    }
    let others = 0
    const deliverOthers = async () => {
      await applyTo(api, 'shop', [{ name: 'mail' }], receiver.url)
      while ((await scheduled()) > 0) {
        await api.enqueue('shop', 'mail')
        await receiver.waitFor(pathOf('shop', 'mail'), others + 1)
        others++
      }
    }
    await deliverOthers()
    await takeFlood()

    expect(others, 'delivered, one after the other, while the flood moved').toBeGreaterThan(5)
    expect(arrived).toEqual(expected)
    const counts = (await readCounts(partition, [address]))[0]!
    expect(counts).toMatchObject({ accepted: JOBS, scheduled: 0, waiting: 0, running: JOBS })
    expect(imbalance(counts)).toBe(0)
    // Time stands still in a script, so what one script moved has one time.
    expect(Math.max(...movedAt.values()), 'moved by one script').toBeLessThan(MOST_AT_ONCE)
    await dispatcher.stop()
    await receiver.stop()
    await redis.stop()
  })
})
