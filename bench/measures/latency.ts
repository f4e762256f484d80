import { BOTH, compare, type Measure, type Row } from '../measure.ts'
import { percentile, sampleInTurn, withBullmq, withPull, withPush } from '../sides/latency.ts'

/**
 * From the moment before the enqueue to the start of the handler, one job at a time. The sides take turns, so that what
 * else goes on in the machine hits all of them.
 */
export const latency: Measure = {
  name: 'latency',
  about: 'enqueue to handler start on an idle queue, p50 and p99, against BullMQ',
  appendfsync: BOTH,
  run: (context) =>
    withBullmq(context.appendfsync, (bullmq) =>
      withPull(context.appendfsync, (pull) =>
        withPush(context.appendfsync, async ({ inProcess, overHttp }) => {
          context.say('sampling')
          const [peer = [], ...ours] = await sampleInTurn([bullmq, pull, inProcess, overHttp], context)
          return [
            ...rows('enqueue in process to start of a pulling handler', ours[0], peer),
            ...rows('enqueue in process to start of a pushed handler', ours[1], peer),
            ...rows('enqueue over HTTP to start of a pushed handler', ours[2], peer),
          ]
        }),
      ),
    ),
}

function rows(what: string, ours: readonly number[] = [], peer: readonly number[]): Row[] {
  return [50, 99].map((percent) =>
    compare({
      ...{ what: `${what}, p${percent}`, peerName: 'BullMQ', unit: 'µs', target: { atMost: 1 } },
      ...{ ours: percentile(ours, percent), peer: percentile(peer, percent) },
    }),
  )
}
