import { JOB_EVENTS, parsePosition, parseQueueAddress, SUBSCRIPTION_EVENTS } from '@millrace/contracts'
import type { Entry } from '../recorder/batch.ts'
import type { SubscriptionRow } from '../store/schema.ts'
import { amountIn, textIn } from './members.ts'
import type { ModelRows } from './rows.ts'

const REPLAYS: Readonly<Record<string, string>> = {
  [SUBSCRIPTION_EVENTS.replayStarted]: 'running',
  [SUBSCRIPTION_EVENTS.replayStopped]: 'stopped',
  [SUBSCRIPTION_EVENTS.replayFinished]: 'finished',
}

/** Fold what happened to subscriptions: how many events each was brought, what it lost, where it was moved. */
export async function foldSubscriptions(entries: readonly Entry[], rows: ModelRows): Promise<void> {
  const facts = entries.flatMap((entry) => {
    const place = subscriptionOf(entry)
    return place ? [{ entry, ...place }] : []
  })
  if (facts.length === 0) return
  await rows.subscriptions.load(facts.map(({ namespace, name }) => [namespace, name]))
  for (const { entry, namespace, name } of facts) {
    const nowMs = parsePosition(entry.event.position).ms
    const known = rows.subscriptions.get(namespace, name) ?? newSubscription(namespace, name, nowMs)
    const changes = changesOf(known, entry, nowMs)
    if (changes) rows.subscriptions.put({ ...known, ...changes, updated_at_ms: nowMs }, namespace, name)
  }
}

/** The subscription that an event is about. */
export function subscriptionOf({ event, fact }: Entry): { namespace: string; name: string } | undefined {
  const concerns = event.kind === 'queue' || (event.kind === 'job' && event.type === JOB_EVENTS.enqueued)
  if (!concerns) return undefined
  const { kind, name } = parseQueueAddress(fact.where.queue ?? '')
  return kind === 'subscription' ? { namespace: fact.namespace, name } : undefined
}

function changesOf(
  known: SubscriptionRow,
  { event, fact: { body } }: Entry,
  nowMs: number,
): Partial<SubscriptionRow> | undefined {
  switch (event.type) {
    case JOB_EVENTS.enqueued:
      return { events: known.events + 1, last_event_at_ms: nowMs }
    case SUBSCRIPTION_EVENTS.lost:
      return { losses: known.losses + 1, lost_at_ms: nowMs }
    case SUBSCRIPTION_EVENTS.moved:
      return { moved_at_ms: nowMs, moved_by: textIn(body, 'who') ?? null }
    case SUBSCRIPTION_EVENTS.replayStarted:
    case SUBSCRIPTION_EVENTS.replayStopped:
    case SUBSCRIPTION_EVENTS.replayFinished:
      return {
        replay_id: textIn(body, 'replayId') ?? null,
        replay_state: REPLAYS[event.type] as string,
        replayed: amountIn(body, 'replayed') ?? null,
      }
    default:
      return undefined
  }
}

function newSubscription(namespace: string, name: string, nowMs: number): SubscriptionRow {
  return {
    ...{ namespace, name, events: 0, last_event_at_ms: null, losses: 0, lost_at_ms: null, moved_at_ms: null },
    ...{ moved_by: null, replay_id: null, replay_state: null, replayed: null, updated_at_ms: nowMs },
  }
}
