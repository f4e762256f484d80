import { Worker } from 'bullmq'
import { Meter, type MeterOptions } from '../meter.ts'
import { answerWith } from './answers.ts'

// A BullMQ worker that does nothing with its jobs.
export interface BullmqConsumer {
  readonly socketPath: string
  readonly queue: string
  readonly concurrency: number
  readonly meter: MeterOptions
}

answerWith({
  async run({ socketPath, queue, concurrency, meter: options }: BullmqConsumer) {
    const meter = new Meter({ ...options, pids: { ...options.pids, consumer: process.pid } })
    const connection = { path: socketPath, maxRetriesPerRequest: null }
    const worker = new Worker(queue, async () => meter.count(), { connection, concurrency })
    const metered = await meter.done
    await worker.close()
    return metered
  },
})
