import type { Retention } from '@millrace/engine'
import type { Clock, Logger } from '@millrace/runtime'
import {
  connectBlocking,
  createLogReader,
  LOG_READERS,
  newHolder,
  type Partition,
  type Partitions,
  type RegistryView,
} from '@millrace/streams'
import type { History } from '../events/history.ts'
import { startReplayer } from '../events/replayer.ts'
import type { DispatcherMetrics } from '../metrics.ts'
import { startCatchUp } from './catch-up.ts'
import { type Retained, startLagDuty } from './lag.ts'
import { READ_BLOCK_MS, reportOutside, startPartitionRouter } from './partition-router.ts'
import type { ViewSource } from './view-source.ts'

export interface RouterDeps {
  readonly redisUrl: string
  readonly partitions: Partitions
  /** The registry's own log, which is routed as well. */
  readonly registryPartition: Partition
  readonly registry: RegistryView
  readonly metrics: DispatcherMetrics
  readonly logger: Logger
  readonly clock: Clock
  readonly views: ViewSource
  readonly maxWaiting: number
  readonly leaseMs: number
  readonly retention: Retention
  readonly history: History
}

export interface Router {
  stop(): Promise<void>
}

/** Everything that turns events into jobs of subscriptions in this process: one router and one catch-up for each log. */
export function startRouter(deps: RouterDeps): Router {
  const { partitions, registry, views, logger, redisUrl } = deps
  const holder = newHolder()
  const onError = reportOutside(logger, 'router.failed')

  const retained: Retained = new Map()
  const sources = [...partitions.all, deps.registryPartition]
  const duties = sources.map((source) => {
    const blocking = connectBlocking({
      ...{ url: redisUrl, partition: source.number, role: 'router', log: logger, blockMs: READ_BLOCK_MS },
    })
    const reader = createLogReader({ partition: source, blocking, group: LOG_READERS.router })
    const router = startPartitionRouter({
      ...deps,
      reader,
      retained,
      views,
      holder,
      onError,
      cancelRead: () => blocking.disconnect(),
    })
    const catchUp = startCatchUp({ ...deps, source, views, mayRun: () => router.routing(), onError })
    return { router, catchUp }
  })

  const lag = startLagDuty({ ...deps, sources, retained, onError })
  const replayer = startReplayer({ ...deps, sources, onError })
  // What begins now reads on its own at first: do not let it wait for the sweep.
  registry.onChange(() => {
    for (const { router, catchUp } of duties) {
      router.loop.poke()
      catchUp.poke()
    }
  })

  return {
    async stop() {
      await Promise.all([
        replayer.stop(),
        lag.stop(),
        ...duties.flatMap(({ router, catchUp }) => [router.stop(), catchUp.stop()]),
      ])
    },
  }
}
