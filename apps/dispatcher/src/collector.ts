import { type Clock, type Loop, startLoop } from '@millrace/runtime'
import { imbalance, type Partitions, queuesOf, type RegistryView } from '@millrace/streams'
import type { DispatcherMetrics } from './metrics.ts'

import { type LiveQueue, readLiveQueues } from './queue-counts.ts'

/** Gauges are read on a loop of our own, so that a scrape costs Redis nothing and never waits for it. */
const COLLECT_MS = 5000

export interface CollectorDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly metrics: DispatcherMetrics
  readonly clock: Clock
  onError(error: unknown): void
}

/** Keep the queue gauges up to date. */
export function startCollector({ registry, partitions, metrics, clock, onError }: CollectorDeps): Loop {
  const shown = new Map<string, Labels>()
  // Forgotten once more a round later: an attempt that was still under way counts itself after its queue is gone.
  let leaving: Labels[] = []
  return startLoop({
    name: 'collector',
    intervalMs: COLLECT_MS,
    onError,
    async run() {
      const live = await readLiveQueues(partitions, registry.services().flatMap(queuesOf))
      for (const queue of live) show(queue, metrics, clock.now())
      const gone = leaveOut(shown, live)
      for (const labels of [...leaving, ...gone]) await forget(metrics, labels)
      leaving = gone
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
  metrics.draining.set(labels, counts.draining ? 1 : 0)
  metrics.imbalance.set(labels, imbalance(counts))
  metrics.concurrency.set(labels, definition.concurrency)
}

type Labels = LiveQueue['labels']

/** Remember the queues that there are; those that were there and are no more are the answer. */
function leaveOut(shown: Map<string, Labels>, live: readonly LiveQueue[]): Labels[] {
  const nameOf = ({ namespace, queue }: Labels) => `${namespace}/${queue}`
  const now = new Set(live.map(({ labels }) => nameOf(labels)))
  const gone = [...shown].filter(([name]) => !now.has(name))
  for (const [name] of gone) shown.delete(name)
  for (const { labels } of live) shown.set(nameOf(labels), labels)
  return gone.map(([, labels]) => labels)
}

/** A queue that is closed has no last value: every series with its labels goes. */
async function forget(metrics: DispatcherMetrics, { namespace, queue }: Labels): Promise<void> {
  for (const metric of Object.values(metrics)) {
    for (const { labels } of (await metric.get()).values) {
      const { le, ...own } = labels as Record<string, string>
      if (own.namespace === namespace && own.queue === queue) metric.remove(own)
    }
  }
}
