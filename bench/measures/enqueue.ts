import { startChild } from '../child.ts'
import { BOTH, type Context, compare, type Figure, type Measure } from '../measure.ts'
import { type Metered, rateOf } from '../meter.ts'
import type { BullmqEnqueuer } from '../processes/bullmq-enqueuer.ts'
import type { Enqueuer } from '../processes/enqueuer.ts'
import { BULLMQ_JOB, BULLMQ_QUEUE } from '../sides/bullmq.ts'
import { registerService, withStore } from '../sides/millrace.ts'
import { DATA } from '../sides/payload.ts'
import { postRate } from '../sides/post.ts'

const BATCH = 1000
/** Batches under way at once, on either side: enough that neither producer nor Redis waits for the other. */
const IN_FLIGHT = 4

/** Batches of 1,000 against addBulk; nobody takes the jobs. */
export const enqueue: Measure = {
  name: 'enqueue',
  about: 'bulk enqueue in batches of 1,000, over HTTP and in process, against addBulk',
  appendfsync: BOTH,
  async run(context) {
    const bullmq = await bullmqRate(context)
    const overHttp = await httpRate(context)
    const inProcess = await ourRate(context)
    const against = { peer: bullmq, peerName: 'BullMQ addBulk', unit: 'jobs/s', target: { atLeast: 10 } }
    return [
      compare({ what: 'bulk enqueue in process', ours: inProcess, ...against }),
      compare({ what: 'bulk enqueue over HTTP', ours: overHttp, ...against }),
    ]
  },
}

async function bullmqRate(context: Context): Promise<Figure> {
  context.say('addBulk')
  return withStore(context.appendfsync, async ({ redis }) => {
    const child = startChild('bullmq-enqueuer.ts')
    const run: BullmqEnqueuer = {
      ...{ socketPath: redis.socketPath, queue: BULLMQ_QUEUE, data: DATA, opts: BULLMQ_JOB },
      ...{ batch: BATCH, inFlight: IN_FLIGHT },
      meter: { skip: context.size(20_000, 4000), count: context.size(100_000, 4000), pids: { redis: redis.pid } },
    }
    const metered = await child.ask<Metered>('run', run)
    await child.stop()
    return rateOf(metered)
  })
}

async function ourRate(context: Context): Promise<Figure> {
  context.say('enqueue in process')
  return withStore(context.appendfsync, async (store) => {
    await registerService(store, { namespace: 'bench', url: 'http://127.0.0.1:9', queues: ['no-op'], concurrency: 1 })
    const child = startChild('enqueuer.ts')
    const run: Enqueuer = {
      ...{ socketPath: store.redis.socketPath, address: 'bench/no-op', data: JSON.stringify(DATA) },
      ...{ batch: BATCH, inFlight: IN_FLIGHT },
      meter: { skip: context.size(50_000, 4000), count: context.size(500_000, 4000), pids: { redis: store.redis.pid } },
    }
    const metered = await child.ask<Metered>('run', run)
    await child.stop()
    return rateOf(metered)
  })
}

async function httpRate(context: Context): Promise<Figure> {
  context.say('POST /jobs/batch')
  const jobs = Array.from({ length: BATCH }, () => ({ namespace: 'bench', queue: 'no-op', data: DATA }))
  return postRate(context.appendfsync, {
    ...{ path: '/jobs/batch', body: JSON.stringify({ jobs }), connections: IN_FLIGHT, jobs: BATCH },
    ...{ skip: context.size(50_000, 4000), count: context.size(200_000, 4000) },
  })
}
