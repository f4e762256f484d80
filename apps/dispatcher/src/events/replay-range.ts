import { comparePositions, type LogEvent } from '@millrace/contracts'
import { type Partition, type RoutedEvent, readLogAfter } from '@millrace/streams'
import { routeAlone } from '../router/route-events.ts'
import type { Subscription, SubscriptionView } from '../router/subscription-view.ts'

export interface ReplayRange {
  readonly positions: Readonly<Record<string, string>>
  readonly ends: Readonly<Record<string, string>>
}

export interface RangePage {
  readonly source: Partition
  /** Up to where the page goes. */
  readonly to: string
  readonly looked: number
  readonly events: readonly RoutedEvent[]
}

const PAGE = 500

/**
 * The next events of a range that a subscription asks for, at most `limit` of them; undefined when the range is at its end.
 * One log is read after the other: events of one key lie in one of them, so they keep their order.
 */
export async function nextPage(
  sources: readonly Partition[],
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
    const entries = await readLogAfter(source, { after: from, to: end, count: PAGE })
    const taken = upToLimit(entries, limit, (events) => routeAlone(events, { subscription, view, replay }))
    // Fewer than asked for: nothing lies between the last one and the end.
    const to =
      taken.entries.length < PAGE && taken.entries.length === entries.length ? end : taken.entries.at(-1)!.position
    return { source, to, looked: taken.entries.length, events: taken.events }
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
