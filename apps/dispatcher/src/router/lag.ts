import { comparePositions, REGISTRY_PARTITION } from '@millrace/contracts'
import { type Retention, retentionCutoff } from '@millrace/engine'
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
  readRouted,
  skipBehind,
  splitAddress,
} from '@millrace/streams'
import type { History } from '../events/history.ts'
import type { DispatcherMetrics } from '../metrics.ts'
import { readLiveQueues } from '../queue-counts.ts'
import type { SubscriptionView } from './subscription-view.ts'
import { createUnreadCounter, type Unread } from './unread.ts'
import type { ViewSource } from './view-source.ts'

export interface LagDeps {
  readonly partitions: Partitions
  readonly sources: readonly Partition[]
  readonly registry: RegistryView
  readonly views: ViewSource
  readonly metrics: DispatcherMetrics
  readonly clock: Clock
  readonly retention: Retention
  readonly history: History
  readonly retained: Retained
  onError(error: unknown): void
}

/**
 * Up to where each log, by its partition's number, keeps nothing for subscriptions that are behind: they find it in the audit
 * store.
 */
export type Retained = Map<number, string>

const SAMPLE_MS = 2000

/**
 * Says how far each subscription is behind, and takes those ahead that are too far back, so that one that never comes again
 * does not keep the log for ever.
 */
export function startLagDuty(deps: LagDeps): Loop {
  const counter = createUnreadCounter()
  const loop = startLoop({
    name: 'subscription-lag',
    intervalMs: SAMPLE_MS,
    onError: deps.onError,
    async run() {
      const view = await deps.views.current()
      for (const source of deps.sources) {
        if (view.all.length > 0) await keepRetention(deps, source)
        await showRouterLag(deps, source, view)
      }
      const unread = await unreadOf(deps, counter, view)
      await showQueues(deps, unread)
      return undefined
    },
  })
  // A subscription has its metrics from the moment that there is one.
  deps.registry.onChange(() => loop.poke())
  return loop
}

async function keepRetention(
  { partitions, retention, metrics, clock, history, retained }: LagDeps,
  source: Partition,
): Promise<void> {
  const span = await logSpan(source)
  if (!span) return
  const cutoff = retentionCutoff(span, retention, clock.now())
  // With an audit app nothing is lost: the log goes on without them, and they read on from the store.
  if (history.isThere) retained.set(source.number, cutoff)
  if (history.isThere || comparePositions(span.first, cutoff) > 0) return
  for (const partition of partitions.all) {
    for (const { address, position, source: number } of await readBehind(partition)) {
      if (number !== source.number || comparePositions(position, cutoff) >= 0) continue
      if (await skipBehind(partition, { address, source: number, to: cutoff }))
        metrics.lostEvents.inc(splitAddress(address))
    }
  }
}

/** Without subscriptions nothing is read, and nothing is behind. */
async function showRouterLag({ partitions, metrics }: LagDeps, source: Partition, { all }: SubscriptionView) {
  const partition = source.number === REGISTRY_PARTITION ? 'reg' : `p${source.number}`
  if (all.length === 0) {
    metrics.routerLag.set({ partition }, 0)
    return
  }
  const end = await logEnd(source)
  const behind = partitions.all.map(async (each) => {
    const routed = (await readRouted(each)).get(source.number)
    return routed ? end.entriesRead - routed.entriesRead : 0
  })
  metrics.routerLag.set({ partition }, Math.max(0, ...(await Promise.all(behind))))
}

/** What subscriptions that read on their own have still to get, over all logs. */
async function unreadOf(
  { partitions, sources }: LagDeps,
  counter: ReturnType<typeof createUnreadCounter>,
  view: SubscriptionView,
): Promise<Map<string, Unread>> {
  const behind = (await Promise.all(partitions.all.map(readBehind))).flat()
  counter.begin(behind)
  const unread = new Map<string, Unread>()
  for (const one of behind) {
    const subscription = view.byAddress.get(one.address)
    const source = sources.find(({ number }) => number === one.source)
    if (!subscription || !source) continue
    const before = unread.get(one.address) ?? { events: 0, oldestMs: undefined }
    const { events, oldestMs } = await counter.count(source, { one, subscription, view })
    unread.set(one.address, { events: before.events + events, oldestMs: earlier(before.oldestMs, oldestMs) })
  }
  return unread
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b)
}

async function showQueues({ registry, partitions, metrics }: LagDeps, unread: Map<string, Unread>): Promise<void> {
  const queues = registry.services().flatMap(queuesOf)
  const live = await readLiveQueues(
    partitions,
    queues.filter(({ definition }) => definition.kind === 'subscription'),
  )
  for (const { labels, counts } of live) {
    const address = fullAddress(labels.namespace, labels.queue)
    const { events = 0, oldestMs } = unread.get(address) ?? {}
    metrics.subscriptionLag.set(labels, counts.waiting + counts.scheduled + counts.running)
    metrics.subscriptionUnread.set(labels, events)
    // From the start, so that the first loss is an increase.
    metrics.lostEvents.labels(labels)
    metrics.subscriptionBehind.set(labels, unread.has(address) ? 1 : 0)
    metrics.subscriptionOldest.set(labels, (earlier(oldestMs, counts.oldestWaitingMs) ?? 0) / 1000)
  }
}
