import type { LogEvent } from '@millrace/contracts'
import { eventIdOf, type LoggedEvent, toCloudEvent } from '@millrace/engine'
import type { LogPage, Partition, RoutedEvent } from '@millrace/streams'
import { metaOf, type Subscription, type SubscriptionView } from './subscription-view.ts'

/** Events that follow each other in a log, and what of them goes into which partition. */
export interface Portion {
  readonly to: string
  /** Entries of the log up to `to`, from the portion before. */
  readonly entries: number
  readonly byPartition: ReadonlyMap<Partition, readonly RoutedEvent[]>
}

/** One script call makes at most about so many jobs, of bodies of at most about so many characters: it never holds the server up for long. */
const MAX_JOBS = 1000
const MAX_CHARACTERS = 1_048_576

/** What becomes of a page of a log, in portions that a script takes in one step. */
export function portionsOf(page: LogPage, view: SubscriptionView): Portion[] {
  const { events } = page
  const portions: Portion[] = []
  let byPartition = new Map<Partition, RoutedEvent[]>()
  let jobs = 0
  let characters = 0
  let entries = 0
  let entriesBefore = 0
  events.forEach((event, index) => {
    if (event.endsEntry) entries++
    for (const [partition, routed] of route(event, view)) {
      const known = byPartition.get(partition)
      if (known) known.push(routed)
      else byPartition.set(partition, [routed])
      jobs += routed.jobs.length
      characters += routed.json.length
    }
    if ((jobs < MAX_JOBS && characters < MAX_CHARACTERS) || index === events.length - 1) return
    portions.push({ to: event.position, entries, byPartition })
    byPartition = new Map()
    jobs = 0
    characters = 0
    entriesBefore += entries
    entries = 0
  })
  // What was passed over is counted with the last.
  if (page.entries > 0) portions.push({ to: page.through, entries: page.entries - entriesBefore, byPartition })
  return portions
}

/** The cost is that of the subscriptions whose types fit: most events are read and passed over. */
function route(event: LogEvent, view: SubscriptionView): Map<Partition, RoutedEvent> {
  const routed = new Map<Partition, RoutedEvent & { jobs: { address: string; meta: string }[] }>()
  const logged = once(() => toCloudEvent(event))
  for (const subscription of view.index.candidates(event.type)) {
    if (!view.accepts(subscription, event, logged)) continue
    const { partition, address } = subscription
    const job = { address, meta: metaOf(subscription, logged()) }
    const known = routed.get(partition)
    if (known) known.jobs.push(job)
    else routed.set(partition, { ...header(event, logged()), jobs: [job] })
  }
  return routed
}

/** As many of these events as a script takes in one step for one subscription; all of them while they are small. */
export function firstPortion(events: readonly LogEvent[]): readonly LogEvent[] {
  let characters = 0
  const last = events.findIndex(({ data }) => {
    characters += data.length
    return characters >= MAX_CHARACTERS
  })
  return last < 0 ? events : events.slice(0, last + 1)
}

/** The events that one subscription asks for, of those read for it alone. */
export function routeAlone(
  events: readonly LogEvent[],
  { subscription, view, replay }: { subscription: Subscription; view: SubscriptionView; replay?: string },
): RoutedEvent[] {
  return events.flatMap((event) => {
    const logged = once(() => toCloudEvent(event))
    if (!view.index.candidates(event.type).has(subscription) || !view.accepts(subscription, event, logged)) return []
    const { address } = subscription
    return [{ ...header(event, logged()), jobs: [{ address, meta: metaOf(subscription, logged(), replay) }] }]
  })
}

function header(event: LogEvent, { json }: LoggedEvent) {
  return { eventId: eventIdOf(event), position: event.position, json }
}

function once<Value>(make: () => Value): () => Value {
  let made: { readonly value: Value } | undefined
  return () => {
    made ??= { value: make() }
    return made.value
  }
}
