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

answerWith({
  async run({ socketPath, queue, concurrency, url, path }: BullmqPush) {
    const pool = new Pool(url, { connections: concurrency, pipelining: 1 })
    const worker = new Worker(
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
})
