import { type Clock, type Loop, startLoop } from '@millrace/runtime'
import { imbalance, type Partitions, queuesOf, type RegistryView } from '@millrace/streams'
import type { DispatcherMetrics } from './metrics.ts'

import { type LiveQueue, readLiveQueues } from './queue-counts.ts'

/** Gauges are read on a loop of our own, so that a scrape costs Redis nothing and never waits for it. */
const COLLECT_MS = 2000

export interface CollectorDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly metrics: DispatcherMetrics
  readonly clock: Clock
  onError(error: unknown): void
}

/** Keep the queue gauges up to date. */
export function startCollector({ registry, partitions, metrics, clock, onError }: CollectorDeps): Loop {
  return startLoop({
    name: 'collector',
    intervalMs: COLLECT_MS,
    onError,
    async run() {
      const live = await readLiveQueues(partitions, registry.services().flatMap(queuesOf))
      for (const queue of live) show(queue, metrics, clock.now())
      metrics.collected.set(clock.now() / 1000)
      return undefined
    },
  })
}

function show({ labels, definition, counts }: LiveQueue, metrics: DispatcherMetrics, nowMs: number): void {
  for (const state of ['waiting', 'scheduled', 'running'] as const)
    metrics.jobs.set({ ...labels, state }, counts[state])
  // The letters that are there: an alert must fall silent once somebody has discarded them.
  metrics.jobs.set({ ...labels, state: 'dead' }, counts.dead - counts.discarded)
  const oldest = counts.oldestWaitingMs
  metrics.oldest.set(labels, oldest === undefined ? 0 : Math.max(0, nowMs - oldest) / 1000)
  metrics.paused.set(labels, counts.paused ? 1 : 0)
  metrics.imbalance.set(labels, imbalance(counts))
  metrics.concurrency.set(labels, definition.concurrency)
}
