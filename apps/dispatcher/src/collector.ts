import { partitionLabel } from '@millrace/contracts'
import { type Clock, type Loop, startLoop } from '@millrace/runtime'
import {
  fullAddress,
  imbalance,
  logLength,
  type Partition,
  type Partitions,
  queuesOf,
  type RegistryView,
  readFullestMemory,
} from '@millrace/streams'
import type { DispatcherMetrics } from './metrics.ts'
import { addressOf, type LiveQueue, labelsOf, readLiveQueues } from './queue-counts.ts'

/** Gauges are read on a loop of our own, so that a scrape costs Redis nothing and never waits for it. */
const COLLECT_MS = 5000

export interface CollectorDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly metrics: DispatcherMetrics
  readonly clock: Clock
  /** A queue is closed: its series go. */
  forget(labels: Labels): void
  onError(error: unknown): void
}

/** Keep the queue gauges up to date. */
export function startCollector({ registry, partitions, metrics, clock, forget, onError }: CollectorDeps): Loop {
  const shown = new Map<string, Labels>()
  // Forgotten once more a round later: an attempt that was still under way counts itself after its queue is gone.
  let leaving: Labels[] = []
  return startLoop({
    name: 'collector',
    intervalMs: COLLECT_MS,
    onError,
    async run() {
      const queues = registry.services().flatMap(queuesOf)
      const members = Map.groupBy(queues, (queue) => partitions.of(addressOf(queue)))
      const reads = await Promise.allSettled([
        ...[...members.values()].map(async (some) => {
          for (const queue of await readLiveQueues(partitions, some)) show(queue, metrics)
        }),
        ...partitions.all.map((partition) => showLog(partition, metrics)),
        showMemory(partitions, metrics),
      ])
      const gone = leaveOut(shown, queues.map(labelsOf))
      // By what is declared now: a queue that has come back meanwhile is counted in the series that are there.
      const declared = new Set(registry.services().flatMap(queuesOf).map(addressOf))
      for (const labels of [...leaving, ...gone]) if (!declared.has(nameOf(labels))) forget(labels)
      leaving = gone
      // What could be read is shown; the time says of all figures how old they are, so it stands still with the oldest.
      const failed = reads.find((read) => read.status === 'rejected')
      if (failed) throw failed.reason
      metrics.collected.set({}, clock.now() / 1000)
      return undefined
    },
  })
}

function show({ labels, definition, counts }: LiveQueue, metrics: DispatcherMetrics): void {
  for (const state of ['waiting', 'scheduled', 'running'] as const)
    metrics.jobs.set({ ...labels, state }, counts[state])
  // The letters that are there: an alert must fall silent once somebody has discarded them.
  metrics.dead.set(labels, counts.dead - counts.discarded)
  metrics.oldest.set(labels, (counts.oldestWaitingMs ?? 0) / 1000)
  metrics.paused.set(labels, counts.paused ? 1 : 0)
  metrics.draining.set(labels, counts.draining ? 1 : 0)
  metrics.imbalance.set(labels, imbalance(counts))
  metrics.concurrency.set(labels, definition.concurrency)
}

async function showLog(partition: Partition, metrics: DispatcherMetrics): Promise<void> {
  metrics.logLength.set({ partition: partitionLabel(partition.number) }, await logLength(partition))
}

async function showMemory(partitions: Partitions, metrics: DispatcherMetrics): Promise<void> {
  const { usedBytes, limitBytes } = await readFullestMemory(partitions.all)
  metrics.memoryUsed.set({}, usedBytes)
  metrics.memoryLimit.set({}, limitBytes)
}

type Labels = LiveQueue['labels']

function nameOf({ namespace, queue }: Labels): string {
  return fullAddress(namespace, queue)
}

/** Remember the queues that there are; those that were there and are no more are the answer. */
function leaveOut(shown: Map<string, Labels>, declared: readonly Labels[]): Labels[] {
  const now = new Set(declared.map(nameOf))
  const gone = [...shown].filter(([name]) => !now.has(name))
  for (const [name] of gone) shown.delete(name)
  for (const labels of declared) shown.set(nameOf(labels), labels)
  return gone.map(([, labels]) => labels)
}
