import { BOTH, compare, type Measure, type Row } from '../measure.ts'
import { percentile, sampleInTurn, withPush, withSubscription } from '../sides/latency.ts'

/**
 * From the moment before an event is published to the start of the handler that it is delivered to, beside a job that is
 * enqueued and pushed in the same way: the difference is what the way over log and router takes.
 */
export const publishLatency: Measure = {
  name: 'publish-latency',
  about: 'publish to start of the handler on an idle subscription, p50 and p99, against an enqueued job',
  appendfsync: BOTH,
  run: (context) =>
    withPush(context.appendfsync, (job) =>
      withSubscription(context.appendfsync, async (event) => {
        context.say('sampling')
        const sides = [job.inProcess, job.overHttp, event.inProcess, event.overHttp]
        const [enqueued = [], posted = [], emitted = [], published = []] = await sampleInTurn(sides, context)
        return [
          ...rows('publish in process to start of the handler', emitted, enqueued),
          ...rows('POST /events to start of the handler', published, posted),
        ]
      }),
    ),
}

function rows(what: string, ours: readonly number[], peer: readonly number[]): Row[] {
  return [50, 99].map((percent) =>
    compare({
      ...{ what: `${what}, p${percent}`, peerName: 'a job, enqueued the same way', unit: 'µs' },
      ...{ ours: percentile(ours, percent), peer: percentile(peer, percent) },
    }),
  )
}
