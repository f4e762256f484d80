import { comparePositions } from '@millrace/contracts'
import { logEnd, pause, readRouted } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { BOTH, type Context, compare, type Figure, type Measure } from '../measure.ts'
import { rateOf } from '../meter.ts'
import { eventJson, fillLog, matchingAddresses, subscribe } from '../sides/events.ts'
import { fill, registerService, startApp, withStore } from '../sides/millrace.ts'
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
    const { partition, redis } = store
    await subscribe(store, { url: worker.url, matching: 1, concurrency: IN_FLIGHT, paused: true })
    await fillLog(store, missed, context.say)
    const { position } = await logEnd(partition)
    const dispatcher = await startApp(store, { name: 'dispatcher' })
    // The platform was there all the time: the router has passed on, and left what the queue has no room for to the log.
    await eventually(
      async () => reached(position, (await readRouted(partition)).get(partition.number)?.position ?? '0-0'),
      {
        timeoutMs: 300_000,
        intervalMs: 100,
        what: 'the router to have passed all events',
      },
    )
    context.say('the subscriber is back')
    const pids = { dispatcher: dispatcher.pid, redis: redis.pid }
    const by = { who: 'bench', at: new Date().toISOString() }
    const metered = await worker.measure({ ...windowOf(context), pids }, async () => {
      for (const address of matchingAddresses(1)) await pause(partition, { action: 'resume', address, by })
    })
    await dispatcher.stop()
    return rateOf(metered)
  })
}

const reached = (a: string, b: string) => comparePositions(a, b) <= 0
