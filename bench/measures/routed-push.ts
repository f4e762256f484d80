import { BOTH, type Context, compare, type Figure, type Measure } from '../measure.ts'
import { subscribe } from '../sides/events.ts'
import { fill, withStore } from '../sides/millrace.ts'
import { DATA } from '../sides/payload.ts'
import { type PushWorker, pushRate, startPushWorker, TAIL } from '../sides/push.ts'

const IN_FLIGHT = 100

/** Where somebody subscribes, a router reads the whole log, the facts about jobs included, in the dispatcher's process. */
export const routedPush: Measure = {
  name: 'routed-push',
  about: 'HTTP push beside one subscription that matches none of it, against push without subscriptions',
  appendfsync: BOTH,
  async run(context) {
    const worker = await startPushWorker()
    const without = await rate(worker, { context, others: 0 })
    const beside = await rate(worker, { context, others: 1 })
    await worker.stop()
    const against = { peer: without, peerName: 'without', unit: 'jobs/s', target: { atLeast: 0.9 } }
    return [compare({ what: 'push beside a subscription that matches nothing', ours: beside, ...against })]
  },
}

function rate(worker: PushWorker, { context, others }: { context: Context; others: number }): Promise<Figure> {
  context.say(others > 0 ? 'beside a subscription' : 'without subscriptions')
  const skip = context.size(40_000, 200)
  const count = context.size(60_000, 1000)
  return withStore(context.appendfsync, async (store) => {
    await subscribe(store, { url: worker.url, matching: 0, others, queues: ['no-op'], concurrency: IN_FLIGHT })
    await fill(store, { address: 'bench/no-op', count: skip + count + TAIL, data: JSON.stringify(DATA) })
    return pushRate(worker, store, { skip, count })
  })
}
