import { pause } from '@millrace/streams'
import { startChild } from '../child.ts'
import type { Appendfsync, Figure } from '../measure.ts'
import { type Metered, rateOf } from '../meter.ts'
import type { Poster } from '../processes/poster.ts'
import { registerService, startApp, whenReady, withStore } from './millrace.ts'

export type PostOptions = Omit<Poster, 'url' | 'meter'> & { readonly skip: number; readonly count: number }

/** Where requests go, and whose processor time they take. */
export interface Intake {
  readonly url: string
  readonly pids: Readonly<Record<string, number>>
}

/** A dispatcher that accepts jobs of the paused queue `bench/no-op`: paused, so that it delivers none meanwhile. */
export function withIntake<T>(appendfsync: Appendfsync, use: (intake: Intake) => Promise<T>): Promise<T> {
  return withStore(appendfsync, async (store) => {
    await registerService(store, { namespace: 'bench', url: 'http://127.0.0.1:9', queues: ['no-op'], concurrency: 1 })
    const by = { who: 'bench', at: new Date().toISOString() }
    await pause(store.partition, { action: 'pause', address: 'bench/no-op', by })
    const dispatcher = await startApp(store, { name: 'dispatcher' })
    await whenReady(dispatcher)
    const pids = { dispatcher: dispatcher.pid, redis: store.redis.pid }
    const result = await use({ url: dispatcher.url, pids })
    await dispatcher.stop()
    return result
  })
}

/** The rate at which such a dispatcher accepts jobs. */
export function postRate(appendfsync: Appendfsync, { skip, count, ...request }: PostOptions): Promise<Figure> {
  return withIntake(appendfsync, async ({ url, pids }) => {
    const client = startChild('poster.ts')
    const poster: Poster = { ...request, url, meter: { skip, count, pids } }
    const metered = await client.ask<Metered>('run', poster)
    await client.stop()
    return rateOf(metered)
  })
}
