import { pause } from '@millrace/streams'
import { startChild } from '../child.ts'
import type { Appendfsync } from '../measure.ts'
import type { BareLoop } from '../processes/bare-loop.ts'
import type { BullmqPush } from '../processes/bullmq-push.ts'
import type { StreamLoop } from '../processes/stream-loop.ts'
import type { Turn } from '../turns.ts'
import { BULLMQ_QUEUE, fillBullmq } from './bullmq.ts'
import { fill, registerService, startApp, withStore } from './millrace.ts'
import { DATA } from './payload.ts'
import { type PushWorker, TAIL } from './push.ts'

export const IN_FLIGHT = 100
const PATH = '/internal/jobs/no-op'

/** What all sides do in a turn, each in its way: the first `skip` jobs fill all places, the `count` behind them are measured. */
export interface PushTurns {
  readonly worker: PushWorker
  readonly appendfsync: Appendfsync
  readonly skip: number
  readonly count: number
}

const jobsOf = ({ skip, count }: PushTurns) => skip + count + TAIL

/** Requests made from memory, by undici. */
export async function withBareLoop<T>(
  turns: PushTurns,
  request: Pick<BareLoop, 'headers' | 'body' | 'style'>,
  use: (turn: Turn) => Promise<T>,
): Promise<T> {
  const { worker, skip, count } = turns
  const child = startChild('bare-loop.ts')
  const loop: BareLoop = { url: worker.url, path: PATH, inFlight: IN_FLIGHT, count: jobsOf(turns), ...request }
  const pids = { sender: child.pid }
  const result = await use(() => worker.measure({ skip, count, pids }, () => child.ask('run', loop)))
  await child.stop()
  return result
}

/** What a loop of one's own on a stream of Redis comes to, with the same promise as ours of what is on the disk. */
export function withStreamLoop<T>(turns: PushTurns, body: string, use: (turn: Turn) => Promise<T>): Promise<T> {
  const { worker, skip, count } = turns
  return withStore(turns.appendfsync, async ({ redis }) => {
    const client = redis.client()
    const names = { stream: 'jobs', group: 'workers' }
    await client.xgroup('CREATE', names.stream, names.group, '0', 'MKSTREAM')
    const child = startChild('stream-loop.ts')
    const loop: StreamLoop = {
      ...{ socketPath: redis.socketPath, ...names, inFlight: IN_FLIGHT },
      ...{ url: worker.url, path: PATH, count: jobsOf(turns) },
    }
    const pids = { sender: child.pid, redis: redis.pid }
    const result = await use(async () => {
      for (let left = loop.count; left > 0; left -= 1000) {
        const batch = client.pipeline()
        for (let n = 0; n < Math.min(1000, left); n++) batch.xadd(names.stream, '*', 'body', body)
        await batch.exec()
      }
      return worker.measure({ skip, count, pids }, () => child.ask('run', loop))
    })
    await child.stop()
    return result
  })
}

export function withBullmqPush<T>(turns: PushTurns, use: (turn: Turn) => Promise<T>): Promise<T> {
  const { worker, skip, count } = turns
  return withStore(turns.appendfsync, async ({ redis }) => {
    const child = startChild('bullmq-push.ts')
    const push: BullmqPush = {
      ...{ socketPath: redis.socketPath, queue: BULLMQ_QUEUE, concurrency: IN_FLIGHT },
      ...{ url: worker.url, path: PATH },
    }
    await child.ask('run', push)
    await child.ask('pause')
    const pids = { sender: child.pid, redis: redis.pid }
    const result = await use(async () => {
      await fillBullmq(redis, jobsOf(turns), DATA)
      return worker.measure({ skip, count, pids }, () => child.ask('work', jobsOf(turns)))
    })
    await child.stop()
    return result
  })
}

/** A dispatcher with one queue, which is paused between turns. */
export function withDispatcher<T>(turns: PushTurns, use: (turn: Turn) => Promise<T>): Promise<T> {
  const { worker, skip, count } = turns
  return withStore(turns.appendfsync, async (store) => {
    await registerService(store, { namespace: 'bench', url: worker.url, queues: ['no-op'], concurrency: IN_FLIGHT })
    const address = 'bench/no-op'
    const by = { who: 'bench', at: new Date().toISOString() }
    const order = (action: 'pause' | 'resume') => pause(store.partition, { action, address, by })
    await order('pause')
    const dispatcher = await startApp(store, { name: 'dispatcher' })
    const pids = { dispatcher: dispatcher.pid, redis: store.redis.pid }
    const result = await use(async () => {
      await fill(store, { address, count: jobsOf(turns), data: JSON.stringify(DATA) })
      const metered = await worker.measure({ skip, count, pids }, async () => {
        await order('resume')
        await worker.received(jobsOf(turns))
      })
      await order('pause')
      return metered
    })
    await dispatcher.stop()
    return result
  })
}
