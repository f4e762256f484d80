import { Queue } from 'bullmq'
import { Meter, type MeterOptions } from '../meter.ts'
import { answerWith } from './answers.ts'

// A process that enqueues batches with addBulk, several at once.
export interface BullmqEnqueuer {
  readonly socketPath: string
  readonly queue: string
  readonly data: unknown
  readonly opts: { readonly removeOnComplete: boolean; readonly removeOnFail: boolean }
  readonly batch: number
  readonly inFlight: number
  readonly meter: MeterOptions
}

answerWith({
  async run({ socketPath, queue: name, data, opts, batch, inFlight, meter: options }: BullmqEnqueuer) {
    const meter = new Meter({ ...options, pids: { ...options.pids, producer: process.pid } })
    const queue = new Queue(name, { connection: { path: socketPath, maxRetriesPerRequest: null } })
    await queue.waitUntilReady()
    let running = true
    const line = async () => {
      while (running) {
        await queue.addBulk(Array.from({ length: batch }, () => ({ name: 'job', data, opts })))
        meter.count(batch)
      }
    }
    const lines = Array.from({ length: inFlight }, line)
    const metered = await meter.done
    running = false
    await Promise.all(lines)
    return metered
  },
})
