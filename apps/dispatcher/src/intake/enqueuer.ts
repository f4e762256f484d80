import { type Enqueued, enqueue, type NewJob, type Partition } from '@millrace/streams'

/** One script call takes at most this many jobs, so that a large batch never holds the server up for long. */
const MAX_JOBS_PER_CALL = 500

interface Waiting {
  readonly job: NewJob
  resolve(result: Enqueued): void
  reject(error: unknown): void
}

export type Enqueuer = (job: NewJob) => Promise<Enqueued>

/**
 * Enqueue through one call at a time: what arrives while a call is under way goes out together with the next. Requests
 * that come together thus share one script call and, with `appendfsync always`, one fsync, and a lone request waits for
 * nothing.
 */
export function createEnqueuer(partition: Partition): Enqueuer {
  let waiting: Waiting[] = []
  let sending = false

  const send = async () => {
    sending = true
    // Requests of the same turn of the event loop go out together.
    await Promise.resolve()
    while (waiting.length > 0) {
      const batch = waiting.slice(0, MAX_JOBS_PER_CALL)
      waiting = waiting.slice(MAX_JOBS_PER_CALL)
      await sendBatch(partition, batch)
    }
    sending = false
  }

  return (job) =>
    new Promise((resolve, reject) => {
      waiting.push({ job, resolve, reject })
      if (!sending) void send()
    })
}

async function sendBatch(partition: Partition, batch: readonly Waiting[]): Promise<void> {
  try {
    const results = await enqueue(
      partition,
      batch.map(({ job }) => job),
    )
    batch.forEach(({ resolve }, index) => {
      resolve(results[index] as Enqueued)
    })
  } catch (error) {
    for (const { reject } of batch) reject(error)
  }
}
