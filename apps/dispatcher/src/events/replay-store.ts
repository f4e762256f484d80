import { ProblemError, type Replay, SUBSCRIPTION_EVENTS } from '@millrace/contracts'
import {
  advanceReplay,
  type By,
  type Partition,
  type Partitions,
  type RoutedEvent,
  readReplay,
  readReplays,
  storeTime,
} from '@millrace/streams'

/** A replay with how far it is; kept beside the subscription that it goes into. */
export interface StoredReplay extends Replay {
  readonly address: string
  /** Behind which position of each log it goes on, and with which it ends, by the partition's number. */
  readonly positions: Readonly<Record<string, string>>
  readonly ends: Readonly<Record<string, string>>
  /** Not before then by the store's clock, for its rate; 0 at the beginning. */
  readonly nextAtMs: number
}

/** A replay and where it was found, with its state as it was read. */
export interface KnownReplay {
  readonly partition: Partition
  readonly text: string
  readonly replay: StoredReplay
}

export async function beginReplay(partition: Partition, replay: StoredReplay, by: By): Promise<void> {
  const { id, address, from, to, ratePerSecond } = replay
  const data = { ...by, replayId: id, from, to, ratePerSecond }
  const event = { type: SUBSCRIPTION_EVENTS.replayStarted, data }
  await advanceReplay(partition, { id, address, to: JSON.stringify(replay), running: true, event, maxWaiting: 0 })
}

/** Take a replay on, with the events of this step. */
export function saveReplay(
  { partition, text, replay: { id, address } }: KnownReplay,
  { next, events, maxWaiting }: { next: StoredReplay; events: readonly RoutedEvent[]; maxWaiting: number },
) {
  const jobs = events.map(({ json, jobs: [job] }) => ({ json, meta: job?.meta || '{}' }))
  return advanceReplay(partition, {
    ...{ id, address, maxWaiting, jobs },
    ...{ from: text, to: JSON.stringify(next), running: true },
  })
}

/** End a replay, and say so; undefined when it has gone on meanwhile. */
export async function endReplay(
  { partition, text, replay }: KnownReplay,
  { state, by, nowMs }: { state: 'finished' | 'stopped'; by: By; nowMs: number },
): Promise<StoredReplay | undefined> {
  const { id, address, replayed } = replay
  const ended = { ...replay, state, endedAt: new Date(nowMs).toISOString() }
  const type = state === 'finished' ? SUBSCRIPTION_EVENTS.replayFinished : SUBSCRIPTION_EVENTS.replayStopped
  const result = await advanceReplay(partition, {
    ...{ id, address, maxWaiting: 0, from: text, to: JSON.stringify(ended), running: false },
    event: { type, data: { ...by, replayId: id, replayed } },
  })
  return result === 'advanced' ? ended : undefined
}

/** Stop a replay, whatever step it is at; one that is over stays as it is. */
export async function stopReplay(partitions: Partitions, { id, by }: { id: string; by: By }): Promise<StoredReplay> {
  for (;;) {
    const known = await findReplay(partitions, id)
    if (!known) throw new ProblemError('replay.unknown', `There is no replay "${id}".`)
    if (known.replay.state !== 'running') return known.replay
    const ended = await endReplay(known, { state: 'stopped', by, nowMs: await storeTime(known.partition) })
    // Another state: it went on a step meanwhile, so read again. Each time somebody else has got on.
    if (ended) return ended
  }
}

export async function knownReplay(partition: Partition, id: string): Promise<KnownReplay | undefined> {
  const text = await readReplay(partition, id)
  return text === undefined ? undefined : { partition, text, replay: JSON.parse(text) as StoredReplay }
}

export async function findReplay(partitions: Partitions, id: string): Promise<KnownReplay | undefined> {
  const found = await Promise.all(partitions.all.map((partition) => knownReplay(partition, id)))
  return found.find((known) => known !== undefined)
}

/** Those of a subscription, in no order. */
export async function listReplays(partition: Partition, address: string): Promise<Replay[]> {
  const all = (await readReplays(partition)).map((text) => JSON.parse(text) as StoredReplay)
  return all.filter((replay) => replay.address === address).map(toReplay)
}

export function toReplay(stored: StoredReplay): Replay {
  const { id, subscription, state, from, to, ratePerSecond, replayed, looked, erased, startedAt, endedAt } = stored
  return {
    id,
    subscription,
    state,
    from,
    to,
    ratePerSecond,
    replayed,
    looked,
    erased,
    startedAt,
    ...(endedAt && { endedAt }),
  }
}
