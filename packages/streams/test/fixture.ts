import type { RedisServer } from '@millrace/testkit'
import {
  type ClaimedJob,
  claim,
  createPartitions,
  enqueue,
  type Limits,
  lease,
  type NewJob,
  openQueues,
  type Partition,
} from '../src/index.ts'

export const ADDRESS = 'shop/mail'

export interface Bench {
  readonly partition: Partition
  join(consumer: string, ttlMs?: number): Promise<void>
  add(...payloads: unknown[]): Promise<string[]>
  addWith(job: Partial<NewJob>): Promise<string>
  take(consumer: string, options?: { want?: number; concurrency?: number }): Promise<ClaimedJob[]>
}

/** A partition with one open queue on a flushed server. */
export async function prepare(server: RedisServer, limits?: Limits): Promise<Bench> {
  await server.flush()
  const partition = createPartitions(server.client(), 1).of(ADDRESS)
  await openQueues(partition, [{ address: ADDRESS, ...(limits && { limits }) }])
  const addWith = async (job: Partial<NewJob>) => {
    const [result] = await enqueue(partition, [{ address: ADDRESS, lane: 'normal', data: '{}', ...job }])
    return result!.id
  }
  return {
    partition,
    async join(consumer, ttlMs = 60_000) {
      await lease(partition, { action: 'join', consumer, ttlMs })
    },
    async add(...payloads) {
      const jobs = payloads.map((payload) => ({
        address: ADDRESS,
        lane: 'normal' as const,
        data: JSON.stringify(payload),
      }))
      return (await enqueue(partition, jobs)).map((result) => result.id)
    },
    addWith,
    async take(consumer, { want = 10, concurrency = 100 } = {}) {
      const result = await claim(partition, { consumer, address: ADDRESS, concurrency, want })
      return result.kind === 'claimed' ? result.jobs : []
    },
  }
}
