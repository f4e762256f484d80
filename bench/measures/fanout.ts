import { setTimeout as delay } from 'node:timers/promises'
import { readCounts } from '@millrace/streams'
import { startChild } from '../child.ts'
import { BOTH, type Context, compare, type Figure, type Measure } from '../measure.ts'
import { Meter, type Metered, rateOf } from '../meter.ts'
import type { Enqueuer } from '../processes/enqueuer.ts'
import { eventJson, fillLog, matchingAddresses, subscribe } from '../sides/events.ts'
import { registerService, startApp, withStore } from '../sides/millrace.ts'

const NOBODY = 'http://127.0.0.1:9'
const OTHERS = 1000
/** How often the progress of a router is looked at. */
const LOOK_MS = 5

/** One event to several subscriptions whose queues are paused, so that nothing but routing is measured. */
export const fanout: Measure = {
  name: 'fanout',
  about: 'events to 1, 10 and 100 subscriptions against plain enqueueing, and beside 1,000 that cannot match',
  appendfsync: BOTH,
  async run(context) {
    const plain = await enqueueRate(context)
    const against = { peer: plain, peerName: 'bulk enqueue in process', unit: 'jobs/s' }
    const one = await routed(context, { matching: 1 })
    const ten = await routed(context, { matching: 10 })
    const hundred = await routed(context, { matching: 100 })
    const beside = await routed(context, { matching: 1, others: OTHERS })
    return [
      compare({ what: 'fan-out to 1 subscription', ours: one, ...against }),
      compare({ what: 'fan-out to 10 subscriptions', ours: ten, ...against, target: { atLeast: 0.5 } }),
      compare({ what: 'fan-out to 100 subscriptions', ours: hundred, ...against }),
      compare({
        ...{ what: 'fan-out to 1 beside 1,000 that cannot match', ours: beside, peer: one },
        ...{ peerName: 'to 1 alone', unit: 'events/s', target: { atLeast: 0.9 } },
      }),
    ]
  },
}

async function enqueueRate({ appendfsync, size, say }: Context): Promise<Figure> {
  say('bulk enqueue of the same bodies')
  return withStore(appendfsync, async (store) => {
    await registerService(store, { namespace: 'bench', url: NOBODY, queues: ['no-op'], concurrency: 1 })
    const child = startChild('enqueuer.ts')
    const run: Enqueuer = {
      ...{ socketPath: store.redis.socketPath, address: 'bench/no-op', data: eventJson(0), batch: 1000, inFlight: 4 },
      meter: { skip: size(50_000, 4000), count: size(200_000, 4000), pids: { redis: store.redis.pid } },
    }
    const metered = await child.ask<Metered>('run', run)
    await child.stop()
    return rateOf(metered)
  })
}

function routed({ appendfsync, size, say }: Context, to: { matching: number; others?: number }): Promise<Figure> {
  const { matching, others = 0 } = to
  say(`to ${matching} subscriptions${others > 0 ? ` beside ${others}` : ''}`)
  const events = Math.ceil(size(150_000, 6000) / matching)
  const skip = (events * matching) / 3
  return withStore(appendfsync, async (store) => {
    await subscribe(store, { url: NOBODY, matching, others, concurrency: 1, paused: true })
    await fillLog(store, events)
    const env = { MILLRACE_SUBSCRIPTION_WAITING: '10000000' }
    const dispatcher = await startApp(store, { name: 'dispatcher', env })
    const pids = { dispatcher: dispatcher.pid, redis: store.redis.pid }
    const meter = new Meter({ skip, count: Number.POSITIVE_INFINITY, pids })
    const last = matchingAddresses(matching).slice(-1)
    for (let seen = 0; seen < events; await delay(LOOK_MS)) {
      const accepted = (await readCounts(store.partition, last))[0]?.accepted ?? 0
      meter.count((accepted - seen) * matching)
      seen = accepted
    }
    meter.finish()
    await dispatcher.stop()
    return rateOf(await meter.done)
  })
}
