import { BOTH, compare, type Measure, type Row } from '../measure.ts'
import { percentile, sampleInTurn, withBullmq, withBullmqPush, withPull, withPush } from '../sides/latency.ts'

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
      withBullmqPush(context.appendfsync, (bullmqPush) =>
        withPull(context.appendfsync, (pull) =>
          withPush(context.appendfsync, async ({ inProcess, overHttp }) => {
            context.say('sampling')
            const sides = [bullmq, bullmqPush, pull, inProcess, overHttp]
            const [inOne = [], behindHttp = [], pulled = [], pushed = [], posted = []] = await sampleInTurn(
              sides,
              context,
            )
            const [peer, peerPush] = [
              { name: 'BullMQ', took: inOne },
              { name: 'BullMQ that POSTs', took: behindHttp },
            ]
            return [
              ...rows('enqueue in process to start of a pulling handler', pulled, peer),
              ...rows('enqueue in process to start of a pushed handler', pushed, peerPush),
              ...rows('enqueue in process to start of a pushed handler', pushed, peer),
              ...rows('enqueue over HTTP to start of a pushed handler', posted, peer),
            ]
          }),
        ),
      ),
    ),
}

interface Peer {
  readonly name: string
  readonly took: readonly number[]
}

function rows(what: string, ours: readonly number[], peer: Peer): Row[] {
  return [50, 99].map((percent) =>
    compare({
      ...{ what: `${what}, p${percent}`, peerName: peer.name, unit: 'µs', target: { atMost: 1 } },
      ...{ ours: percentile(ours, percent), peer: percentile(peer.took, percent) },
    }),
  )
}
