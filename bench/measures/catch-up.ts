import { BOTH, type Context, compare, type Figure, type Measure } from '../measure.ts'
import { eventJson, fillLog, subscribe } from '../sides/events.ts'
import { fill, registerService, withStore } from '../sides/millrace.ts'
import { type PushWorker, pushRate, startPushWorker, TAIL } from '../sides/push.ts'

const IN_FLIGHT = 100

/** A subscriber comes back after very many events have passed: most of them are in the log, not in its queue. */
export const catchUp: Measure = {
  name: 'catch-up',
  about:
    'deliveries to a subscriber that was down while 1,000,000 events passed, against plain push of the same bodies',
  appendfsync: BOTH,
  async run(context) {
    const worker = await startPushWorker()
    const missed = context.size(1_000_000, 20_000)
    const push = await pushing(worker, context)
    const ours = await catchingUp(worker, { context, missed })
    await worker.stop()
    const what = `catching up after ${missed.toLocaleString('en')} missed events`
    const against = { peer: push, peerName: 'push of waiting jobs', unit: 'deliveries/s', target: { atLeast: 0.9 } }
    return [compare({ what, ours, ...against })]
  },
}

function windowOf({ size }: Context): { skip: number; count: number } {
  return { skip: size(40_000, 500), count: size(60_000, 5000) }
}

function pushing(worker: PushWorker, context: Context): Promise<Figure> {
  context.say('plain push')
  const { skip, count } = windowOf(context)
  return withStore(context.appendfsync, async (store) => {
    const queues = ['no-op']
    await registerService(store, { namespace: 'bench', url: worker.url, queues, concurrency: IN_FLIGHT })
    await fill(store, { address: 'bench/no-op', count: skip + count + TAIL, data: eventJson(0) })
    return pushRate(worker, store, { skip, count })
  })
}

function catchingUp(worker: PushWorker, { context, missed }: { context: Context; missed: number }): Promise<Figure> {
  context.say(`${missed} events pass`)
  return withStore(context.appendfsync, async (store) => {
    await subscribe(store, { url: worker.url, matching: 1, concurrency: IN_FLIGHT })
    await fillLog(store, missed, context.say)
    context.say('the subscriber is back')
    return pushRate(worker, store, windowOf(context))
  })
}
