import { claim, enqueue, lease, settle } from '@millrace/streams'
import { type Context, compare, type Measure } from '../measure.ts'
import { LOG_KEEP, recordAll } from '../sides/log.ts'
import { usedMemory } from '../sides/memory.ts'
import { registerService, type Store, withStore } from '../sides/millrace.ts'
import { DATA } from '../sides/payload.ts'

const ADDRESS = 'bench/no-op'
const CONSUMER = 'bench-soak'
const BATCH = 500
/** A lease that outlives the run: nobody else is there to take over. */
const LEASE_MS = 86_400_000

/** Memory after very many jobs went through, against the memory after the first ones, the log trimmed in both. */
export const soak: Measure = {
  name: 'soak',
  about: 'Redis memory after 2,000,000 jobs went through, log trimmed, against before',
  appendfsync: ['everysec'],
  run: (context) =>
    withStore(undefined, async (store) => {
      await registerService(store, {
        namespace: 'bench',
        url: 'http://127.0.0.1:9',
        queues: ['no-op'],
        concurrency: BATCH,
      })
      await lease(store.partition, { action: 'join', consumer: CONSUMER, ttlMs: LEASE_MS })
      // So many that the log has its full length: what a platform holds that has been at work for a while.
      await passThrough(store, 2 * LOG_KEEP, context)
      const before = await settledMemory(store)
      await passThrough(store, context.soakJobs, context)
      const after = await settledMemory(store)
      const what = `Redis memory after ${context.soakJobs.toLocaleString('en')} jobs`
      const names = { what, peerName: 'before', unit: 'bytes', target: { atMost: 1.05 } }
      return [compare({ ...names, ours: { value: after }, peer: { value: before } })]
    }),
}

async function settledMemory({ partition }: Store): Promise<number> {
  await recordAll(partition)
  return usedMemory(partition.redis)
}

/** Enqueue, claim and settle in this process, so that no HTTP stands between: only what Redis keeps is of interest. */
async function passThrough({ partition }: Store, jobs: number, { say }: Context): Promise<void> {
  const batch = new Array(BATCH).fill({ address: ADDRESS, lane: 'normal', data: JSON.stringify(DATA) })
  const settlement = { kind: 'succeeded', status: 200, durationMs: 1 } as const
  for (let done = 0; done < jobs; done += BATCH) {
    if (done % 100_000 === 0) {
      await recordAll(partition)
      if (done > 0) say(`${done} of ${jobs} jobs went through`)
    }
    await enqueue(partition, batch)
    const claimed = await claim(partition, { consumer: CONSUMER, address: ADDRESS, concurrency: BATCH, want: BATCH })
    if (claimed.kind !== 'claimed') throw new Error(`expected to claim ${BATCH} jobs, got ${claimed.kind}`)
    const attempts = claimed.jobs.map((job) => ({ job, settlement }))
    await settle(partition, { consumer: CONSUMER, address: ADDRESS, attempts })
  }
}
