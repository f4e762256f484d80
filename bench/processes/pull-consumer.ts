import { consume } from '@millrace/sdk'
import { Meter, type MeterOptions } from '../meter.ts'
import { answerWith } from './answers.ts'

// A service that takes jobs out of Redis and does nothing with them.
export interface PullConsumer {
  readonly socketPath: string
  readonly namespace: string
  readonly queue: string
  readonly concurrency: number
  readonly meter: MeterOptions
}

answerWith({
  async run({ socketPath, namespace, queue, concurrency, meter: options }: PullConsumer) {
    const meter = new Meter({ ...options, pids: { ...options.pids, consumer: process.pid } })
    const consumer = consume(queue, async () => meter.count(), {
      ...{ redis: `unix://${socketPath}`, namespace, concurrency },
      onError(error) {
        throw error
      },
    })
    const metered = await meter.done
    await consumer.close()
    return metered
  },
})
