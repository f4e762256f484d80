import { once } from 'node:events'
import { createServer } from 'node:http'
import { consume } from '@millrace/sdk'
import { Worker } from 'bullmq'
import { answerWith } from './answers.ts'

// A handler that says how long ago its job was enqueued. Jobs come one at a time and carry the time of the enqueue, from
// the system's monotonic clock, which all processes of a machine share.
interface Job {
  readonly at: string
}

let started: (micros: number) => void = () => undefined
const noteStart = ({ at }: Job) => started(Number(process.hrtime.bigint() - BigInt(at)) / 1000)

answerWith({
  /** Handle over HTTP; the URL. */
  async http() {
    const server = createServer((request, response) => {
      let body = ''
      request.setEncoding('utf8').on('data', (text) => {
        body += text
      })
      request.on('end', () => {
        noteStart(JSON.parse(body).data)
        response.end('{"success":true}')
      })
    })
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const address = server.address()
    return `http://127.0.0.1:${typeof address === 'object' ? address?.port : 0}`
  },
  async bullmq({ socketPath, queue }: { socketPath: string; queue: string }) {
    const connection = { path: socketPath, maxRetriesPerRequest: null }
    const worker = new Worker(queue, async (job) => noteStart(job.data), { connection, concurrency: 100 })
    await worker.waitUntilReady()
  },
  async pull({ socketPath, namespace, queue }: { socketPath: string; namespace: string; queue: string }) {
    const options = { redis: `unix://${socketPath}`, namespace, concurrency: 100 }
    await consume<Job>(queue, async (job) => noteStart(job.data), options).ready
  },
  /** Microseconds from enqueue to start of the next job. */
  next: () =>
    new Promise<number>((resolve) => {
      started = resolve
    }),
})
