import { comparePositions, type LogEvent } from '@millrace/contracts'
import { fitsTypes } from '@millrace/engine'
import type { Partition, RoutedEvent } from '@millrace/streams'
import { routeAlone } from '../router/route-events.ts'
import { hearsPlatform, type Subscription, type SubscriptionView } from '../router/subscription-view.ts'
import type { History } from './history.ts'
import { readPast } from './past-log.ts'

export interface ReplayRange {
  readonly positions: Readonly<Record<string, string>>
  readonly ends: Readonly<Record<string, string>>
}

export interface RangePage {
  readonly source: Partition
  /** Up to where the page goes. */
  readonly to: string
  readonly looked: number
  /** Left out, because their payload was erased. */
  readonly erased: number
  readonly events: readonly RoutedEvent[]
}

const PAGE = 500

/**
 * The next events of a range that a subscription asks for, at most `limit` of them; undefined when the range is at its end.
 * What the log no longer has comes from the audit store.
 * One log is read after the other: events of one key lie in one of them, so they keep their order.
 */
export async function nextPage(
  { sources, history }: { sources: readonly Partition[]; history: History },
  { positions, ends }: ReplayRange,
  {
    subscription,
    view,
    replay,
    limit,
  }: { subscription: Subscription; view: SubscriptionView; replay: string; limit: number },
): Promise<RangePage | undefined> {
  for (const source of sources) {
    const from = positions[String(source.number)] ?? '0-0'
    const end = ends[String(source.number)] ?? '0-0'
    if (comparePositions(from, end) >= 0) continue
    const publishedOnly = !hearsPlatform(subscription.types)
    const page = await readPast(history, source, { after: from, to: end, count: PAGE, publishedOnly })
    const taken = upToLimit(page.events, limit, (events) => routeAlone(events, { subscription, view, replay }))
    const isWhole = taken.entries.length === page.events.length
    const to = isWhole ? page.through : taken.entries.at(-1)!.position
    const erased = page.erased.filter(
      ({ type, position }) => fitsTypes(subscription.types, type) && comparePositions(position, to) <= 0,
    )
    return { source, to, looked: taken.entries.length, erased: erased.length, events: taken.events }
  }
  return undefined
}

function upToLimit(entries: readonly LogEvent[], limit: number, route: (events: readonly LogEvent[]) => RoutedEvent[]) {
  const events: RoutedEvent[] = []
  for (const [index, entry] of entries.entries()) {
    events.push(...route([entry]))
    if (events.length >= limit) return { entries: entries.slice(0, index + 1), events }
  }
  return { entries, events }
}
