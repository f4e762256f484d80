import { type Context, compare, type Measure } from '../measure.ts'
import { LOG_KEEP, recordAll } from '../sides/log.ts'
import { usedMemory } from '../sides/memory.ts'
import { type Store, withStore } from '../sides/millrace.ts'
import { openPassThrough, passThrough } from '../sides/pass-through.ts'

const BATCH = 500

/** Memory after very many jobs went through, against the memory after the first ones, the log trimmed in both. */
export const soak: Measure = {
  name: 'soak',
  about: 'Redis memory after 2,000,000 jobs went through, log trimmed, against before',
  appendfsync: ['everysec'],
  run: (context) =>
    withStore(undefined, async (store) => {
      await openPassThrough(store, { concurrency: BATCH })
      // So many that the log has its full length: what a platform holds that has been at work for a while.
      await succeed(store, 2 * LOG_KEEP, context)
      const before = await settledMemory(store)
      await succeed(store, context.soakJobs, context)
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

function succeed(store: Store, jobs: number, { say }: Context): Promise<void> {
  return passThrough(store, {
    ...{ jobs, enqueued: BATCH, claimed: BATCH },
    settlementOf: () => ({ kind: 'succeeded', status: 200, durationMs: 1 }),
    async onBatch(done) {
      if (done % 100_000 !== 0) return
      await recordAll(store.partition)
      if (done > 0) say(`${done} of ${jobs} jobs went through`)
    },
  })
}
