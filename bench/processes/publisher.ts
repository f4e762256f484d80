import { connect, createPartition, emit, whenReady } from '@millrace/streams'
import { Meter, type MeterOptions } from '../meter.ts'
import { eventJson, TYPE } from '../sides/events.ts'
import { answerWith } from './answers.ts'

// A process that appends events to a log, batch after batch, several at once: as the platform does, or with plain XADD.
export interface PublisherRun {
  readonly socketPath: string
  /** `keyed`: each with an idempotency key, as a CloudEvent with an id of its publisher's has; `fresh`: without. */
  readonly style: 'keyed' | 'fresh' | 'xadd'
  readonly batch: number
  readonly inFlight: number
  readonly meter: MeterOptions
}

const LOG = '{p0}:log'

answerWith({
  async run({ socketPath, style, batch, inFlight, meter: options }: PublisherRun) {
    const meter = new Meter({ ...options, pids: { ...options.pids, producer: process.pid } })
    const redis = connect({ url: `unix://${socketPath}`, role: 'bench' })
    await whenReady(redis, { timeoutMs: 10_000 })
    const partition = createPartition(redis, 0)
    let next = 0
    const append = async () => {
      const ids = Array.from({ length: batch }, () => String(next++))
      if (style === 'xadd') {
        const pipeline = redis.pipeline()
        for (const id of ids) pipeline.xadd(LOG, '*', 'data', eventJson(id))
        await pipeline.exec()
        return
      }
      const fact = { kind: 'event' as const, type: TYPE, namespace: 'bench', entityId: 'bench' }
      const facts = ids.map((id) => ({
        ...fact,
        ...(style === 'keyed' && { idempotencyKey: id }),
        data: eventJson(id),
      }))
      await emit(partition, facts)
    }
    let running = true
    const line = async () => {
      while (running) {
        await append()
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
