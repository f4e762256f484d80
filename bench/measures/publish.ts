import { startChild } from '../child.ts'
import { BOTH, type Context, compare, type Figure, type Measure } from '../measure.ts'
import { type Metered, rateOf } from '../meter.ts'
import type { PublisherRun } from '../processes/publisher.ts'
import { TYPE } from '../sides/events.ts'
import { withStore } from '../sides/millrace.ts'
import { DATA } from '../sides/payload.ts'
import { postRate } from '../sides/post.ts'

const BATCH = 500
const IN_FLIGHT = 4
const CONNECTIONS = 64

/** Events into the log of a platform without subscriptions, against XADD of the same text into a stream. */
export const publish: Measure = {
  name: 'publish',
  about: 'events into the log, in process and with POST /events, against plain XADD',
  appendfsync: BOTH,
  async run(context) {
    const bulk = { batch: BATCH, inFlight: IN_FLIGHT }
    const plain = await rate({ style: 'xadd', ...bulk }, context)
    const fresh = await rate({ style: 'fresh', ...bulk }, context)
    const keyed = await rate({ style: 'keyed', ...bulk }, context)
    const single = await rate({ style: 'xadd', batch: 1, inFlight: CONNECTIONS }, context)
    const http = await httpRate(context)
    const unit = 'events/s'
    const batches = { peer: plain, peerName: 'XADD, the same batches', unit }
    return [
      compare({ what: 'publish in process, batches of 500', ours: fresh, ...batches }),
      compare({ what: 'the same, each with its source and id', ours: keyed, ...batches }),
      compare({
        ...{ what: 'POST /events single, 64 connections', ours: http },
        ...{ peer: single, peerName: 'XADD, 64 under way', unit },
      }),
    ]
  },
}

function rate(how: Pick<PublisherRun, 'style' | 'batch' | 'inFlight'>, context: Context): Promise<Figure> {
  const { style, batch } = how
  context.say(`${style}, ${batch} at once`)
  return withStore(context.appendfsync, async ({ redis }) => {
    const child = startChild('publisher.ts')
    const meter = {
      ...{ skip: context.size(20_000, 2000), count: context.size(batch === 1 ? 50_000 : 200_000, 4000) },
      pids: { redis: redis.pid },
    }
    const metered = await child.ask<Metered>('run', { ...how, socketPath: redis.socketPath, meter })
    await child.stop()
    return rateOf(metered)
  })
}

function httpRate({ appendfsync, say, size }: Context): Promise<Figure> {
  say('POST /events')
  const body = JSON.stringify({ type: TYPE, subject: 'bench', data: DATA })
  const request = { path: '/events', body, connections: CONNECTIONS, jobs: 1 }
  return postRate(appendfsync, { ...request, skip: size(10_000, 500), count: size(40_000, 1000) })
}
