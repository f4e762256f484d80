import { createPartitions, type Partition, readLogRange } from '@millrace/streams'
import { afterAll, afterEach, beforeAll } from 'vitest'
import { expectBalance, type Rig, startRig } from './fixture.ts'

/** Of the queues of these tests. */
export const LIMIT = 5

/** A dispatcher for the tests of a file, and what Redis has of its prefetched jobs and its failed attempts. */
export function usePrefetchRig() {
  let rig: Rig
  let partition: Partition
  beforeAll(async () => {
    rig = await startRig()
    partition = createPartitions(rig.redis.client(), 1).of('')
  })
  afterAll(async () => {
    partition.redis.disconnect()
    await rig.stop()
  })
  afterEach(() => expectBalance(rig.client))
  return {
    get rig() {
      return rig
    },
    get partition() {
      return partition
    },
    prefetchedOf: (address: string) => partition.redis.hgetall(`{p0}:prefetched:${address}`),
    async failuresIn(namespace: string, queue = 'mail') {
      const events = await readLogRange(partition, { count: 100_000 })
      return events
        .filter((event) => event.namespace === namespace && event.queue === queue)
        .filter((event) => event.type === 'job.attempt_failed')
        .map(({ data }) => JSON.parse(data) as { reason: string; counted?: boolean })
        .map(({ reason, counted = true }) => ({ reason, counted }))
    },
  }
}
