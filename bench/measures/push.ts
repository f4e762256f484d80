import { startChild } from '../child.ts'
import { BOTH, type Context, compare, type Figure, type Measure } from '../measure.ts'
import { rateOf } from '../meter.ts'
import type { BareLoop } from '../processes/bare-loop.ts'
import type { BullmqPush } from '../processes/bullmq-push.ts'
import type { StreamLoop } from '../processes/stream-loop.ts'
import { BULLMQ_QUEUE, fillBullmq } from '../sides/bullmq.ts'
import { deliveryRequest } from '../sides/delivery.ts'
import { fill, registerService, withStore } from '../sides/millrace.ts'
import { DATA } from '../sides/payload.ts'
import { type PushWorker, pushRate, startPushWorker, TAIL } from '../sides/push.ts'

const IN_FLIGHT = 100
const PATH = '/internal/jobs/no-op'

/** Full HTTP push with claim, settle and three log events per job, against loops without a queue and against BullMQ. */
export const push: Measure = {
  name: 'push',
  about:
    'HTTP push to a no-op worker, 100 in flight, against bare undici loops, a loop on a Redis stream and a BullMQ worker that POSTs',
  appendfsync: BOTH,
  async run(context) {
    const worker = await startPushWorker()
    try {
      const whole = deliveryRequest('no-op', { concurrency: IN_FLIGHT })
      const least = { headers: { 'content-type': 'application/json' }, body: whole.body }
      const strict = await bareLoop(worker, { ...least, style: 'dispatch' }, context)
      const same = await bareLoop(worker, { ...whole, style: 'dispatch' }, context)
      const written = await bareLoop(worker, { ...least, style: 'request' }, context)
      const stream = await streamRate(worker, whole.body, context)
      const bullmq = await bullmqRate(worker, context)
      const ours = await ourRate(worker, context)
      const what = 'HTTP push, 100 in flight'
      const unit = 'jobs/s'
      return [
        compare({ what, ours, peer: strict, peerName: 'undici dispatch loop', unit, target: { atLeast: 0.65 } }),
        compare({
          what,
          ours,
          peer: same,
          peerName: 'the same, all headers of a delivery',
          unit,
          target: { atLeast: 0.65 },
        }),
        compare({ what, ours, peer: written, peerName: 'undici request loop', unit }),
        compare({ what, ours, peer: stream, peerName: 'loop on a Redis stream', unit }),
        compare({ what, ours, peer: bullmq, peerName: 'BullMQ that POSTs', unit, target: { atLeast: 2.5 } }),
      ]
    } finally {
      await worker.stop()
    }
  },
}

function windowOf({ size }: Context): { skip: number; count: number } {
  // The compiler of V8 is busy with the dispatcher for its first tens of thousands of jobs, and with a bare loop for few.
  return { skip: size(40_000, 200), count: size(40_000, 1000) }
}

async function bareLoop(
  worker: PushWorker,
  request: Pick<BareLoop, 'headers' | 'body' | 'style'>,
  context: Context,
): Promise<Figure> {
  const names = Object.keys(request.headers).length
  context.say(`undici loop, ${request.style}, ${names} header${names === 1 ? '' : 's'} and those of HTTP`)
  const loop: BareLoop = { url: worker.url, path: PATH, inFlight: IN_FLIGHT, ...request }
  const child = startChild('bare-loop.ts')
  const pids = { sender: child.pid }
  const metered = await worker.measure({ ...windowOf(context), pids }, () => child.ask('run', loop))
  await child.stop()
  return rateOf(metered)
}

/** What a loop of one's own on Redis comes to, with the same promise as ours of what is on the disk. */
async function streamRate(worker: PushWorker, body: string, context: Context): Promise<Figure> {
  context.say('undici loop on a stream of Redis')
  const { skip, count } = windowOf(context)
  return withStore(context.appendfsync, async ({ redis }) => {
    const client = redis.client()
    const names = { stream: 'jobs', group: 'workers' }
    await client.xgroup('CREATE', names.stream, names.group, '0', 'MKSTREAM')
    for (let left = skip + count + TAIL; left > 0; left -= 1000) {
      const batch = client.pipeline()
      for (let n = 0; n < Math.min(1000, left); n++) batch.xadd(names.stream, '*', 'body', body)
      await batch.exec()
    }
    const child = startChild('stream-loop.ts')
    const run: StreamLoop = {
      ...{ socketPath: redis.socketPath, ...names, inFlight: IN_FLIGHT },
      ...{ url: worker.url, path: PATH },
    }
    const pids = { sender: child.pid, redis: redis.pid }
    const metered = await worker.measure({ skip, count, pids }, () => child.ask('run', run))
    await child.stop()
    return rateOf(metered)
  })
}

async function bullmqRate(worker: PushWorker, context: Context): Promise<Figure> {
  context.say('BullMQ worker that POSTs')
  const { skip, count } = windowOf(context)
  return withStore(context.appendfsync, async ({ redis }) => {
    await fillBullmq(redis, skip + count + TAIL, DATA)
    const child = startChild('bullmq-push.ts')
    const run: BullmqPush = {
      ...{ socketPath: redis.socketPath, queue: BULLMQ_QUEUE, concurrency: IN_FLIGHT },
      ...{ url: worker.url, path: PATH },
    }
    const pids = { sender: child.pid, redis: redis.pid }
    const metered = await worker.measure({ skip, count, pids }, () => child.ask('run', run))
    await child.stop()
    return rateOf(metered)
  })
}

async function ourRate(worker: PushWorker, context: Context): Promise<Figure> {
  context.say('dispatcher')
  const { skip, count } = windowOf(context)
  return withStore(context.appendfsync, async (store) => {
    const queues = ['no-op']
    await registerService(store, { namespace: 'bench', url: worker.url, queues, concurrency: IN_FLIGHT })
    await fill(store, { address: 'bench/no-op', count: skip + count + TAIL, data: JSON.stringify(DATA) })
    return pushRate(worker, store, { skip, count })
  })
}
