import { comparePositions } from '@millrace/contracts'
import { timeOf } from '@millrace/engine'
import { type Behind, type Counted, countLogged, type Partition, readLogPage } from '@millrace/streams'
import { routeAlone } from './route-events.ts'
import type { Subscription, SubscriptionView } from './subscription-view.ts'

/** What of a log a subscription asks for and has not got. */
export interface Unread {
  readonly events: number
  /** The time of the first of them. */
  readonly oldestMs: number | undefined
}

/** A stretch of the log that was counted. */
interface Stretch {
  readonly after: string
  readonly to: string
  readonly events: number
  readonly oldestMs: number | undefined
}

interface Known {
  /** What it asks for: another filter counts anew. */
  readonly asked: string
  readonly stretches: Stretch[]
}

/** Events of a stretch, about: what is counted again when a subscription has read a part of it. */
const STRETCH_EVENTS = 1000
/** A sample counts about so many events at most, a tenth of a second's work. A log of a million is counted in some minutes. */
const EVENTS_PER_SAMPLE = 10_000

/**
 * Counts, for subscriptions that read on their own, the events that they have still to get. What was counted is kept by
 * stretches of the log, so each event is looked at once, and a few again where the subscription has come in between.
 */
export function createUnreadCounter() {
  const known = new Map<string, Known>()
  let left = 0

  const count = async (
    source: Partition,
    { one, subscription, view }: { one: Behind; subscription: Subscription; view: SubscriptionView },
  ): Promise<Unread> => {
    const { stretches } = recall(one, subscription)
    const look = (after: string, to?: string) => countStretch(source, { after, to, subscription, view })
    const [first] = stretches
    if (first && comparePositions(first.after, one.position) < 0) stretches[0] = await look(one.position, first.to)
    while (left > 0) {
      const next = await look(stretches.at(-1)?.to ?? one.position)
      left -= next.looked
      if (next.looked === 0) break
      stretches.push(next)
    }
    return {
      events: stretches.reduce((sum, { events }) => sum + events, 0),
      oldestMs: stretches.find(({ oldestMs }) => oldestMs !== undefined)?.oldestMs,
    }
  }

  /** What is known of the part that the subscription has still to read. */
  const recall = ({ address, source, position }: Behind, { definition }: Subscription): Known => {
    const key = `${address} ${source}`
    const asked = JSON.stringify(definition.subscription)
    const before = known.get(key)
    const [first] = before?.stretches ?? []
    const fits = before?.asked === asked && (!first || comparePositions(first.after, position) <= 0)
    const stretches = fits ? before.stretches.filter(({ to }) => comparePositions(to, position) > 0) : []
    const now = { asked, stretches }
    known.set(key, now)
    return now
  }

  return {
    count,
    /** A new sample begins: those that are not behind any more are forgotten. */
    begin(behind: readonly Behind[]) {
      left = EVENTS_PER_SAMPLE
      const names = new Set(behind.map(({ address, source }) => `${address} ${source}`))
      for (const key of known.keys()) if (!names.has(key)) known.delete(key)
    },
  }
}

async function countStretch(
  source: Partition,
  {
    after,
    to,
    subscription,
    view,
  }: { after: string; to: string | undefined; subscription: Subscription; view: SubscriptionView },
): Promise<Stretch & { readonly looked: number }> {
  let through = after
  let events = 0
  let looked = 0
  let oldestMs: number | undefined
  let page: Counted & { readonly looked: number }
  do {
    page = await countPage(source, { after: through, to, subscription, view })
    events += page.events
    looked += page.looked
    oldestMs ??= page.first === undefined ? undefined : timeOf(page.first)
    through = page.through
    // A stretch that is counted again goes as far as it went before.
  } while (to !== undefined && !page.atEnd)
  return { after, to: through, events, oldestMs, looked }
}

async function countPage(
  source: Partition,
  { subscription, view, ...range }: Parameters<typeof countStretch>[1],
): Promise<Counted & { readonly looked: number }> {
  const { passOver, isByTypeAlone, types } = subscription
  const count = STRETCH_EVENTS
  if (isByTypeAlone) {
    const counted = await countLogged(source, { ...range, count, types })
    return { ...counted, looked: counted.entries + counted.events }
  }
  const { events, through, entries, atEnd } = await readLogPage(source, { ...range, count, passOver })
  const matching = routeAlone(events, { subscription, view })
  const counted = { events: matching.length, first: matching[0]?.position, looked: entries + events.length }
  return { ...counted, through, entries, atEnd }
}
