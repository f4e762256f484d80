import type { RedisServer } from '@millrace/testkit'
import { Queue } from 'bullmq'

export const BULLMQ_QUEUE = 'no-op'

/** What is done is removed, as in Millrace, where only the log keeps it: the cheapest BullMQ there is. */
export const BULLMQ_JOB = { removeOnComplete: true, removeOnFail: true } as const

export function connectBullmq(redis: RedisServer): Queue {
  return new Queue(BULLMQ_QUEUE, { connection: { path: redis.socketPath, maxRetriesPerRequest: null } })
}

/** Put jobs there that wait. */
export async function fillBullmq(redis: RedisServer, count: number, data: unknown): Promise<void> {
  const queue = connectBullmq(redis)
  for (let done = 0; done < count; done += 1000) {
    const batch = Array.from({ length: Math.min(1000, count - done) }, () => ({ name: 'job', data, opts: BULLMQ_JOB }))
    await queue.addBulk(batch)
  }
  await queue.close()
}
