import { comparePositions } from '@millrace/contracts'
import { logEnd, pause, readRouted } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { BOTH, type Context, compare, type Figure, type Measure, type Row } from '../measure.ts'
import { rateOf } from '../meter.ts'
import { eventJson, fillLog, matchingAddresses, subscribe } from '../sides/events.ts'
import { fill, registerService, startApp, withStore } from '../sides/millrace.ts'
import { type PushWorker, pushRate, startPushWorker, TAIL } from '../sides/push.ts'

/** A subscriber, and how much of its work is measured. */
interface Load {
  readonly what: string
  readonly missed: number
  readonly inFlight: number
  /** So long it takes over each event. */
  readonly handlerMs: number
  readonly skip: number
  readonly count: number
}

/** A subscriber comes back after very many events have passed: most of them are in the log, not in its queue. */
export const catchUp: Measure = {
  name: 'catch-up',
  about:
    'deliveries to a subscriber that was down while 1,000,000 events passed, against plain push of the same bodies',
  appendfsync: BOTH,
  async run(context) {
    const { size } = context
    const loads: Load[] = [
      {
        ...{ what: 'a handler that does nothing, 100 in flight', inFlight: 100, handlerMs: 0 },
        ...{ missed: size(1_000_000, 20_000), skip: size(40_000, 500), count: size(60_000, 5000) },
      },
      // What a subscriber mostly is: it takes longer over an event than we do.
      {
        ...{ what: 'a handler that takes 10 ms, 20 in flight', inFlight: 20, handlerMs: 10 },
        ...{ missed: size(1_000_000, 12_000), skip: size(15_000, 500), count: size(20_000, 1000) },
      },
    ]
    const worker = await startPushWorker()
    const rows: Row[] = []
    for (const load of loads) rows.push(await measure(worker, context, load))
    await worker.stop()
    return rows
  },
}

async function measure(worker: PushWorker, context: Context, load: Load): Promise<Row> {
  const push = await pushing(worker, context, load)
  const ours = await catchingUp(worker, context, load)
  const what = `catching up after ${load.missed.toLocaleString('en')} missed events, ${load.what}`
  const against = { peer: push, peerName: 'push of waiting jobs', unit: 'deliveries/s', target: { atLeast: 0.9 } }
  return compare({ what, ours, ...against })
}

function pushing(worker: PushWorker, context: Context, load: Load): Promise<Figure> {
  context.say(`plain push, ${load.what}`)
  const { skip, count, inFlight, handlerMs } = load
  return withStore(context.appendfsync, async (store) => {
    const queues = ['no-op']
    await registerService(store, { namespace: 'bench', url: worker.url, queues, concurrency: inFlight })
    await fill(store, { address: 'bench/no-op', count: skip + count + TAIL, data: eventJson(0) })
    return pushRate(worker, store, { skip, count, handlerMs })
  })
}

function catchingUp(worker: PushWorker, context: Context, load: Load): Promise<Figure> {
  const { missed, inFlight, skip, count, handlerMs } = load
  context.say(`${missed} events pass`)
  return withStore(context.appendfsync, async (store) => {
    const { partition, redis } = store
    await subscribe(store, { url: worker.url, matching: 1, concurrency: inFlight, paused: true })
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
    const metered = await worker.measure({ skip, count, handlerMs, pids }, async () => {
      for (const address of matchingAddresses(1)) await pause(partition, { action: 'resume', address, by })
    })
    await dispatcher.stop()
    return rateOf(metered)
  })
}

const reached = (a: string, b: string) => comparePositions(a, b) <= 0
