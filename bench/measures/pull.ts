import { startChild } from '../child.ts'
import { BOTH, type Context, compare, type Figure, type Measure } from '../measure.ts'
import { type Metered, rateOf } from '../meter.ts'
import type { BullmqConsumer } from '../processes/bullmq-consumer.ts'
import type { PullConsumer } from '../processes/pull-consumer.ts'
import { BULLMQ_QUEUE, fillBullmq } from '../sides/bullmq.ts'
import { fill, registerService, withStore } from '../sides/millrace.ts'
import { DATA } from '../sides/payload.ts'
import { TAIL } from '../sides/push.ts'

const CONCURRENCY = 100

/** The sdk's `consume` against a BullMQ worker, both with a handler that does nothing, over jobs that wait already. */
export const pull: Measure = {
  name: 'pull',
  about: 'pull consumer, no-op handler, concurrency 100, against a BullMQ worker',
  appendfsync: BOTH,
  async run(context) {
    const bullmq = await bullmqRate(context)
    const ours = await ourRate(context)
    const names = { what: 'pull consumer, no-op, concurrency 100', peerName: 'BullMQ worker', unit: 'jobs/s' }
    return [compare({ ...names, ours, peer: bullmq, target: { atLeast: 4 } })]
  },
}

function bullmqRate({ appendfsync, size, say }: Context): Promise<Figure> {
  say('BullMQ worker')
  const [skip, count] = [size(5000, 500), size(50_000, 2000)]
  return withStore(appendfsync, async ({ redis }) => {
    await fillBullmq(redis, skip + count + TAIL, DATA)
    const child = startChild('bullmq-consumer.ts')
    const run: BullmqConsumer = {
      ...{ socketPath: redis.socketPath, queue: BULLMQ_QUEUE, concurrency: CONCURRENCY },
      meter: { skip, count, pids: { redis: redis.pid } },
    }
    const metered = await child.ask<Metered>('run', run)
    await child.stop()
    return rateOf(metered)
  })
}

function ourRate({ appendfsync, size, say }: Context): Promise<Figure> {
  say('pull consumer')
  const [skip, count] = [size(10_000, 500), size(100_000, 2000)]
  return withStore(appendfsync, async (store) => {
    const service = { namespace: 'bench', url: 'http://127.0.0.1:9', queues: ['no-op'], concurrency: CONCURRENCY }
    await registerService(store, { ...service, delivery: 'pull' })
    await fill(store, { address: 'bench/no-op', count: skip + count + TAIL, data: JSON.stringify(DATA) })
    const child = startChild('pull-consumer.ts')
    const run: PullConsumer = {
      ...{ socketPath: store.redis.socketPath, namespace: 'bench', queue: 'no-op', concurrency: CONCURRENCY },
      meter: { skip, count, pids: { redis: store.redis.pid } },
    }
    const metered = await child.ask<Metered>('run', run)
    await child.stop()
    return rateOf(metered)
  })
}
