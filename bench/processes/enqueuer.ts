import { connect, createPartition, enqueue, whenReady } from '@millrace/streams'
import { Meter, type MeterOptions } from '../meter.ts'
import { answerWith } from './answers.ts'

// A process that enqueues batches through the streams package, several at once.
export interface Enqueuer {
  readonly socketPath: string
  readonly address: string
  /** JSON text. */
  readonly data: string
  readonly batch: number
  readonly inFlight: number
  readonly meter: MeterOptions
}

answerWith({
  async run({ socketPath, address, data, batch, inFlight, meter: options }: Enqueuer) {
    const meter = new Meter({ ...options, pids: { ...options.pids, producer: process.pid } })
    const redis = connect({ url: `unix://${socketPath}`, role: 'bench' })
    await whenReady(redis, { timeoutMs: 10_000 })
    const partition = createPartition(redis, 0)
    let running = true
    const line = async () => {
      while (running) {
        const jobs = Array.from({ length: batch }, () => ({ address, lane: 'normal' as const, data }))
        await enqueue(partition, jobs)
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
