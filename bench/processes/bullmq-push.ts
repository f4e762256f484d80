import { Worker } from 'bullmq'
import { Pool } from 'undici'
import { answerWith } from './answers.ts'

// A BullMQ worker that hands each job to an endpoint, as a service does whose work is elsewhere.
export interface BullmqPush {
  readonly socketPath: string
  readonly queue: string
  readonly concurrency: number
  readonly url: string
  readonly path: string
}

let worker: Worker | undefined

answerWith({
  async run({ socketPath, queue, concurrency, url, path }: BullmqPush) {
    const pool = new Pool(url, { connections: concurrency, pipelining: 1 })
    worker = new Worker(
      queue,
      async (job) => {
        const body = JSON.stringify({ jobId: job.id, queue, attempt: job.attemptsMade + 1, data: job.data })
        const answer = await pool.request({
          method: 'POST',
          path,
          headers: { 'content-type': 'application/json' },
          body,
        })
        await answer.body.text()
        if (answer.statusCode >= 300) throw new Error(`the endpoint answered ${answer.statusCode}`)
      },
      { connection: { path: socketPath, maxRetriesPerRequest: null }, concurrency },
    )
    await worker.waitUntilReady()
  },
  /** Takes no job until `work`; those under way end. */
  pause: () => worker?.pause(),
  /** Works until so many jobs are completed, and pauses again. */
  async work(count: number) {
    const { promise, resolve } = Promise.withResolvers<void>()
    let completed = 0
    const onCompleted = () => {
      if (++completed === count) resolve()
    }
    worker?.on('completed', onCompleted)
    worker?.resume()
    await promise
    worker?.off('completed', onCompleted)
    await worker?.pause()
  },
})
