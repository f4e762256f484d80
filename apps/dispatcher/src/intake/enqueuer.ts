import { type Enqueued, enqueue, type NewJob, type Partition } from '@millrace/streams'
import { type Batcher, createBatcher } from './batcher.ts'

/** One script call takes at most this many jobs, so that a large batch never holds the server up for long. */
export const MAX_JOBS_PER_CALL = 500

export type Enqueuer = Batcher<NewJob, Enqueued>

/** Enqueue into one partition, together with whatever else comes in at the moment. */
export function createEnqueuer(partition: Partition): Enqueuer {
  return createBatcher((jobs) => enqueue(partition, jobs), { maxItems: MAX_JOBS_PER_CALL })
}
