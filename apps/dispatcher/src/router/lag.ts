import { comparePositions, REGISTRY_PARTITION } from '@millrace/contracts'
import { type Retention, retentionCutoff, timeOf } from '@millrace/engine'
import { type Clock, type Loop, startLoop } from '@millrace/runtime'
import {
  fullAddress,
  logEnd,
  logSpan,
  type Partition,
  type Partitions,
  queuesOf,
  type RegistryView,
  readBehind,
  readLogAfter,
  readRouted,
  skipBehind,
  splitAddress,
} from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import { readLiveQueues } from '../queue-counts.ts'

export interface LagDeps {
  readonly partitions: Partitions
  readonly sources: readonly Partition[]
  readonly registry: RegistryView
  readonly metrics: DispatcherMetrics
  readonly clock: Clock
  readonly retention: Retention
  onError(error: unknown): void
}

const SAMPLE_MS = 2000

/**
 * Says how far each subscription is behind, and takes those ahead that are too far back, so that one that never comes again
 * does not keep the log for ever.
 */
export function startLagDuty(deps: LagDeps): Loop {
  return startLoop({
    name: 'subscription-lag',
    intervalMs: SAMPLE_MS,
    onError: deps.onError,
    async run() {
      const queues = deps.registry.services().flatMap(queuesOf)
      if (!queues.some(({ definition }) => definition.kind === 'subscription')) return undefined
      for (const source of deps.sources) await keepRetention(deps, source)
      const unread = await oldestUnread(deps)
      await showQueues(deps, unread)
      return undefined
    },
  })
}

async function keepRetention({ partitions, retention, metrics, clock }: LagDeps, source: Partition): Promise<void> {
  const span = await logSpan(source)
  if (!span) return
  const cutoff = retentionCutoff(span, retention, clock.now())
  if (comparePositions(span.first, cutoff) > 0) return
  for (const partition of partitions.all) {
    for (const { address, position, source: number } of await readBehind(partition)) {
      if (number !== source.number || comparePositions(position, cutoff) >= 0) continue
      if (await skipBehind(partition, { address, source: number, to: cutoff }))
        metrics.lostEvents.inc(splitAddress(address))
    }
  }
}

/** The time of the oldest entry that was not looked at yet for a subscription, where there is one. */
async function oldestUnread({ partitions, sources, metrics }: LagDeps): Promise<Map<string, number>> {
  const unread = new Map<string, number>()
  const note = (address: string, ms: number) => unread.set(address, Math.min(unread.get(address) ?? ms, ms))
  for (const source of sources) {
    const end = await logEnd(source)
    const label = { partition: source.number === REGISTRY_PARTITION ? 'reg' : `p${source.number}` }
    let furthest = 0
    for (const partition of partitions.all) {
      const routed = (await readRouted(partition)).get(source.number)
      if (routed) furthest = Math.max(furthest, end.entriesRead - routed.entriesRead)
      for (const { address, position, source: number } of await readBehind(partition)) {
        if (number !== source.number || comparePositions(position, end.position) >= 0) continue
        const [next] = await readLogAfter(source, { after: position, count: 1 })
        if (next) note(address, timeOf(next.position))
      }
    }
    metrics.routerLag.set(label, Math.max(0, furthest))
  }
  return unread
}

async function showQueues({ registry, partitions, metrics }: LagDeps, unread: Map<string, number>): Promise<void> {
  const queues = registry.services().flatMap(queuesOf)
  const live = await readLiveQueues(
    partitions,
    queues.filter(({ definition }) => definition.kind === 'subscription'),
  )
  for (const { labels, counts } of live) {
    const address = fullAddress(labels.namespace, labels.queue)
    const oldest = Math.min(
      unread.get(address) ?? Number.POSITIVE_INFINITY,
      counts.oldestWaitingMs ?? Number.POSITIVE_INFINITY,
    )
    metrics.subscriptionLag.set(labels, counts.waiting + counts.scheduled + counts.running)
    // From the start, so that the first loss is an increase.
    metrics.lostEvents.labels(labels)
    metrics.subscriptionBehind.set(labels, unread.has(address) ? 1 : 0)
    metrics.subscriptionOldest.set(labels, Number.isFinite(oldest) ? oldest / 1000 : 0)
  }
}
