import { allowedNow, nextAllowed } from '@millrace/engine'
import { type Loop, startSteps } from '@millrace/runtime'
import { type Partition, type Partitions, runningReplays, sharedLease, storeTime } from '@millrace/streams'
import type { ViewSource } from '../router/view-source.ts'
import type { History } from './history.ts'
import { nextPage } from './replay-range.ts'
import { endReplay, knownReplay, saveReplay } from './replay-store.ts'

export interface ReplayerDeps {
  readonly partitions: Partitions
  /** Every log that is routed. */
  readonly sources: readonly Partition[]
  readonly history: History
  readonly views: ViewSource
  /** With so many waiting jobs a subscription has enough. */
  readonly maxWaiting: number
  readonly leaseMs: number
  onError(error: unknown): void
}

/** How soon a replay is noticed that was begun through another dispatcher. */
const SWEEP_MS = 1000
/** How soon a queue is noticed that takes jobs again. */
const FULL_MS = 250
/** As long as the audit app is not asked again after a failure. */
const FAILED_MS = 2000

/** Bring events of the past into subscriptions again, each replay at the rate that was asked for. */
export function startReplayer(deps: ReplayerDeps): Loop {
  return startSteps({
    name: 'replayer',
    places: deps.partitions.all,
    sweepMs: SWEEP_MS,
    running: runningReplays,
    lease: sharedLease({ name: 'replays', ttlMs: deps.leaseMs }),
    step: (partition, id) => takeStep(partition, id, deps),
    onError: deps.onError,
  })
}

/** One step of one replay. Returns in how many ms the next is worth trying; 0 = now. */
async function takeStep(partition: Partition, id: string, deps: ReplayerDeps): Promise<number> {
  const known = await knownReplay(partition, id)
  if (known?.replay.state !== 'running') return SWEEP_MS
  const { replay } = known
  const nowMs = await storeTime(partition)
  const pace = allowedNow(replay, nowMs)
  if (pace.kind === 'wait') return pace.ms
  const view = await deps.views.current()
  const subscription = view.byAddress.get(replay.address)
  if (!subscription) {
    await endReplay(known, { state: 'stopped', by: { who: 'millrace', why: 'the subscription is gone' }, nowMs })
    return SWEEP_MS
  }
  const asked = { subscription, view, replay: id, limit: pace.atMost }
  const page = await nextPage(deps, replay, asked).catch((error: unknown) => {
    // It waits for the audit app, and holds no other replay up.
    deps.onError(error)
    return 'failed' as const
  })
  if (page === 'failed') return FAILED_MS
  if (!page) {
    await endReplay(known, { state: 'finished', by: { who: 'millrace' }, nowMs })
    return SWEEP_MS
  }
  const { events, source, to, looked, erased } = page
  const next = {
    ...replay,
    positions: { ...replay.positions, [String(source.number)]: to },
    replayed: replay.replayed + events.length,
    looked: replay.looked + looked,
    erased: replay.erased + erased,
    nextAtMs: nextAllowed(replay, { taken: events.length, nowMs }),
  }
  const result = await saveReplay(known, { next, events, maxWaiting: deps.maxWaiting })
  // What its queue does not take now stays to be replayed.
  return result === 'full' ? FULL_MS : 0
}
