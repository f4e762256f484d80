import { type Child, startChild } from '../child.ts'
import type { Figure } from '../measure.ts'
import { type Metered, type MeterOptions, rateOf } from '../meter.ts'
import { type AppOptions, type Store, startApp } from './millrace.ts'

/** Jobs beyond the measured ones, so that the last measured one still has company. */
export const TAIL = 500

export interface WorkOptions extends MeterOptions {
  /** So long the worker takes over each; without it, nothing. */
  readonly handlerMs?: number | undefined
}

/** The HTTP worker that all sides of a comparison push to. */
export interface PushWorker {
  readonly url: string
  /** Measures what comes between `begin` and the end of the measured part. */
  measure(options: WorkOptions, begin: () => Promise<unknown>): Promise<Metered>
  /** Resolves when so many requests have come since `measure` began. */
  received(count: number): Promise<void>
  stop(): Promise<void>
}

export async function startPushWorker(): Promise<PushWorker> {
  const worker: Child = startChild('no-op-worker.ts')
  const url = `http://127.0.0.1:${await worker.ask<number>('port')}`
  return {
    url,
    async measure({ skip, count, pids, handlerMs }, begin) {
      await worker.ask('prepare', { skip, count, handlerMs, pids: { ...pids, worker: worker.pid } })
      await begin()
      return worker.ask<Metered>('measured')
    },
    received: (count) => worker.ask('received', count),
    stop: () => worker.stop(),
  }
}

export interface PushOptions {
  readonly skip: number
  readonly count: number
  readonly handlerMs?: number
  readonly env?: AppOptions['env']
}

/** The dispatcher's rate over jobs that are there before it starts, so that only delivery is measured. */
export async function pushRate(worker: PushWorker, store: Store, { env, ...work }: PushOptions): Promise<Figure> {
  const dispatcher = await startApp(store, { name: 'dispatcher', ...(env && { env }) })
  const pids = { dispatcher: dispatcher.pid, redis: store.redis.pid }
  const metered = await worker.measure({ ...work, pids }, async () => undefined)
  await dispatcher.stop()
  return rateOf(metered)
}
