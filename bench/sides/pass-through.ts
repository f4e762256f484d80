import { claim, enqueue, lease, type Settlement, settle } from '@millrace/streams'
import { registerService, type Store } from './millrace.ts'
import { DATA } from './payload.ts'

const ADDRESS = 'bench/no-op'
const CONSUMER = 'bench-soak'
/** A lease that outlives the run: nobody else is there to take over. */
const LEASE_MS = 86_400_000

/** Make the queue, and a consumer of it that has its lease. */
export async function openPassThrough(store: Store, { concurrency }: { concurrency: number }): Promise<void> {
  await registerService(store, { namespace: 'bench', url: 'http://127.0.0.1:9', queues: ['no-op'], concurrency })
  await lease(store.partition, { action: 'join', consumer: CONSUMER, ttlMs: LEASE_MS })
}

export interface PassThrough {
  readonly jobs: number
  /** How many are enqueued at once, and how many are claimed and settled at once. */
  readonly enqueued: number
  readonly claimed: number
  /** How the nth job ends. */
  settlementOf(n: number): Settlement
  /** Called before each batch, with the jobs that went through so far. */
  onBatch?(done: number): Promise<void> | void
}

/** Enqueue, claim and settle in this process, so that no HTTP stands between: what Redis keeps of it is as if it had been delivered. */
export async function passThrough({ partition }: Store, how: PassThrough): Promise<void> {
  const { jobs, enqueued, claimed: want, settlementOf, onBatch } = how
  const batch = new Array(enqueued).fill({ address: ADDRESS, lane: 'normal', data: JSON.stringify(DATA) })
  for (let done = 0; done < jobs; ) {
    await onBatch?.(done)
    await enqueue(partition, batch)
    for (const end = done + enqueued; done < end; ) {
      const claimed = await claim(partition, { consumer: CONSUMER, address: ADDRESS, concurrency: want, want })
      if (claimed.kind !== 'claimed') throw new Error(`expected to claim ${want} jobs, got ${claimed.kind}`)
      const attempts = claimed.jobs.map((job, index) => ({ job, settlement: settlementOf(done + index) }))
      await settle(partition, { consumer: CONSUMER, address: ADDRESS, attempts })
      done += attempts.length
    }
  }
}
