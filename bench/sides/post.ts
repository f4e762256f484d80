import { pause } from '@millrace/streams'
import { startChild } from '../child.ts'
import type { Appendfsync, Figure } from '../measure.ts'
import { type Metered, rateOf } from '../meter.ts'
import type { Poster } from '../processes/poster.ts'
import { registerService, startApp, whenReady, withStore } from './millrace.ts'

export type PostOptions = Omit<Poster, 'url' | 'meter'> & { readonly skip: number; readonly count: number }

/** The rate at which a dispatcher accepts jobs of the paused queue `bench/no-op`: paused, so that it delivers none meanwhile. */
export function postRate(appendfsync: Appendfsync, { skip, count, ...request }: PostOptions): Promise<Figure> {
  return withStore(appendfsync, async (store) => {
    await registerService(store, { namespace: 'bench', url: 'http://127.0.0.1:9', queues: ['no-op'], concurrency: 1 })
    const by = { who: 'bench', at: new Date().toISOString() }
    await pause(store.partition, { action: 'pause', address: 'bench/no-op', by })
    const dispatcher = await startApp(store, { name: 'dispatcher' })
    await whenReady(dispatcher)
    const pids = { dispatcher: dispatcher.pid, redis: store.redis.pid }
    const figure = await post({ ...request, url: dispatcher.url, meter: { skip, count, pids } })
    await dispatcher.stop()
    return figure
  })
}

/** The rate of one producer process against any server. */
export async function post(poster: Poster): Promise<Figure> {
  const client = startChild('poster.ts')
  const metered = await client.ask<Metered>('run', poster)
  await client.stop()
  return rateOf(metered)
}
