import { comparePositions } from '@millrace/contracts'
import { type Loop, startLoop } from '@millrace/runtime'
import {
  type Behind,
  fanOut,
  type Partition,
  type Partitions,
  readBehind,
  readLogAfter,
  readRouted,
} from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import { routeAlone } from './route-events.ts'
import type { Subscription, SubscriptionView } from './subscription-view.ts'
import type { ViewSource } from './view-source.ts'

export interface CatchUpDeps {
  /** The log that is read. */
  readonly source: Partition
  readonly partitions: Partitions
  readonly views: ViewSource
  readonly metrics: DispatcherMetrics
  readonly maxWaiting: number
  /** Only who routes the log reads it for those that are behind. */
  mayRun(): boolean
  onError(error: unknown): void
}

/** Where there are subscriptions, one may have fallen behind or have room again. */
const SWEEP_MS = 250
const QUIET_MS = 5000
const BATCH_EVENTS = 500

/**
 * Reads one log for the subscriptions that are not with the common cursor: new ones that begin earlier, ones that were
 * moved, and ones whose queue has so much waiting that the log keeps the rest for them. Each has a cursor of its own, which
 * moves with its jobs in one step, and one that is slow or full never makes another wait.
 */
export function startCatchUp(deps: CatchUpDeps): Loop {
  return startLoop({
    name: 'catch-up',
    intervalMs: QUIET_MS,
    onError: deps.onError,
    async run(signal) {
      if (!deps.mayRun()) return SWEEP_MS
      if ((await deps.views.current()).all.length === 0) return QUIET_MS
      const turns = await Promise.all(deps.partitions.all.map((partition) => serve(deps, partition, signal)))
      // Somebody has more to read: go on at once.
      return turns.includes('more') ? 0 : SWEEP_MS
    },
  })
}

async function serve(deps: CatchUpDeps, partition: Partition, signal: AbortSignal): Promise<'more' | 'done'> {
  const behind = (await readBehind(partition)).filter(({ source }) => source === deps.source.number)
  if (behind.length === 0) return 'done'
  const view = await deps.views.current()
  // The common cursor first: what lies before it is in the log that is read then.
  const common = (await readRouted(partition)).get(deps.source.number)?.position
  let turn: 'more' | 'done' = 'done'
  for (const one of behind) {
    const subscription = view.all.find(({ address }) => address === one.address)
    if (!subscription || common === undefined || signal.aborted) continue
    if ((await step(deps, { one, subscription, view, common })) === 'more') turn = 'more'
  }
  return turn
}

async function step(
  { source, maxWaiting, metrics, views }: CatchUpDeps,
  {
    one,
    subscription,
    view,
    common,
  }: { one: Behind; subscription: Subscription; view: SubscriptionView; common: string },
): Promise<'more' | 'done'> {
  const count = Math.min(BATCH_EVENTS, maxWaiting)
  const events = await readLogAfter(source, { after: one.position, count })
  const last = events.at(-1)?.position ?? one.position
  const atEnd = events.length < count
  const to = atEnd && comparePositions(common, last) > 0 ? common : last
  const result = await fanOut(subscription.partition, {
    source: source.number,
    from: one.position,
    to,
    entries: events.length,
    revision: view.revision,
    alone: one.address,
    maxWaiting,
    events: routeAlone(events, { subscription, view }),
  })
  if (result.kind === 'stale') views.outdated()
  if (result.kind !== 'routed') return 'done'
  metrics.routed.inc({}, result.jobs)
  return atEnd ? 'done' : 'more'
}
