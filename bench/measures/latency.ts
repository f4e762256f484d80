import { setTimeout as delay } from 'node:timers/promises'
import { BOTH, type Context, compare, type Figure, type Measure, type Row } from '../measure.ts'
import { type LatencySide, withBullmq, withPull, withPush } from '../sides/latency.ts'

/** Between two jobs of one side: long enough that everybody sleeps when the next one comes. */
const PAUSE_MS = 20
/** The first jobs open connections and load code. */
const WARM_UP = 20

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

/** Microseconds, a list for each side. */
async function sampleInTurn(sides: readonly LatencySide[], { size }: Context): Promise<number[][]> {
  const samples: number[][] = sides.map(() => [])
  for (let turn = 0; turn < WARM_UP + size(500, 20); turn++) {
    for (const [index, { worker, enqueue }] of sides.entries()) {
      await delay(PAUSE_MS)
      const started = worker.ask<number>('next')
      await enqueue({ at: String(process.hrtime.bigint()) })
      samples[index]?.push(await started)
    }
  }
  return samples.map((all) => all.slice(WARM_UP))
}

function rows(what: string, ours: readonly number[] = [], peer: readonly number[]): Row[] {
  return [50, 99].map((percent) =>
    compare({
      ...{ what: `${what}, p${percent}`, peerName: 'BullMQ', unit: 'µs', target: { atMost: 1 } },
      ...{ ours: percentile(ours, percent), peer: percentile(peer, percent) },
    }),
  )
}

function percentile(samples: readonly number[], percent: number): Figure {
  const sorted = [...samples].sort((a, b) => a - b)
  return { value: sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN }
}
