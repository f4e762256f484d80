import { compare, type Measure } from '../measure.ts'
import { fillBullmq } from '../sides/bullmq.ts'
import { LOG_KEEP, recordAll } from '../sides/log.ts'
import { usedMemory } from '../sides/memory.ts'
import { fill, registerService, withStore } from '../sides/millrace.ts'

/** An object of 100 bytes as JSON. */
const DATA = { note: 'x'.repeat(89) }

/** What one more waiting job costs. The log is what it is on a platform whose recorder keeps up: full to its retention, and trimmed behind it. */
export const memory: Measure = {
  name: 'memory',
  about: 'bytes of Redis memory per waiting job with a payload of 100 bytes, against BullMQ',
  appendfsync: ['everysec'],
  async run(context) {
    const jobs = context.size(100_000, 2000)
    context.say('BullMQ')
    const bullmq = await bullmqBytes(jobs)
    context.say('Millrace')
    const { trimmed, untrimmed } = await ourBytes(jobs)
    const against = { peer: { value: bullmq }, peerName: 'BullMQ', unit: 'bytes/job' }
    const target = { atMost: 1 / 6, words: '1/6' }
    return [
      compare({ what: 'memory per waiting job', ours: { value: trimmed }, ...against, target }),
      compare({ what: 'the same, nothing read of the log yet', ours: { value: untrimmed }, ...against }),
    ]
  },
}

function bullmqBytes(jobs: number): Promise<number> {
  return withStore(undefined, async ({ redis, partition }) => {
    // The first job brings the keys of the queue itself.
    await fillBullmq(redis, 1, DATA)
    const before = await usedMemory(partition.redis)
    await fillBullmq(redis, jobs, DATA)
    return ((await usedMemory(partition.redis)) - before) / jobs
  })
}

function ourBytes(jobs: number): Promise<{ trimmed: number; untrimmed: number }> {
  return withStore(undefined, async (store) => {
    await registerService(store, { namespace: 'bench', url: 'http://127.0.0.1:9', queues: ['no-op'], concurrency: 1 })
    const put = (count: number) => fill(store, { address: 'bench/no-op', count, data: JSON.stringify(DATA) })
    await put(2 * LOG_KEEP)
    await recordAll(store.partition)
    const before = await usedMemory(store.partition.redis)
    await put(jobs)
    const untrimmed = await usedMemory(store.partition.redis)
    await recordAll(store.partition)
    const trimmed = await usedMemory(store.partition.redis)
    return { trimmed: (trimmed - before) / jobs, untrimmed: (untrimmed - before) / jobs }
  })
}
