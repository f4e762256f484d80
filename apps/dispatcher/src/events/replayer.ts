import { SUBSCRIPTION_EVENTS } from '@millrace/contracts'
import { type Clock, type Loop, startLoop } from '@millrace/runtime'
import { emit, enqueue, hold, type JobMeta, type Partition, type Partitions, splitAddress } from '@millrace/streams'
import type { ViewSource } from '../router/view-source.ts'
import type { History } from './history.ts'
import { nextPage } from './replay-range.ts'
import { forgetOld, readReplays, type StoredReplay, saveReplay } from './replay-store.ts'

export interface ReplayerDeps {
  readonly partitions: Partitions
  /** Every log that is routed. */
  readonly sources: readonly Partition[]
  readonly history: History
  readonly views: ViewSource
  readonly clock: Clock
  readonly holder: string
  readonly leaseMs: number
  onError(error: unknown): void
}

const SWEEP_MS = 250

/**
 * Brings events of the past into a subscription again, at the rate that was asked for. Each event of a replay has an
 * idempotency key, so a replayer that dies between putting jobs in and saving how far it is makes none of them twice.
 */
export function startReplayer(deps: ReplayerDeps): Loop {
  return startLoop({
    name: 'replayer',
    intervalMs: SWEEP_MS,
    onError: deps.onError,
    async run() {
      for (const partition of deps.partitions.all) await serve(deps, partition)
      return undefined
    },
  })
}

async function serve(deps: ReplayerDeps, partition: Partition): Promise<void> {
  const replays = await readReplays(partition)
  const running = replays.filter(({ state }) => state === 'running')
  if (running.length === 0) return
  const held = await hold(partition, { name: 'replays', holder: deps.holder, ttlMs: deps.leaseMs })
  if (held.kind !== 'held') return
  for (const replay of running) {
    // One that has to wait, for the audit app say, holds no other up.
    await advance(deps, partition, replay).catch(deps.onError)
  }
  await forgetOld(partition, replays, deps.clock.now())
}

async function advance(deps: ReplayerDeps, partition: Partition, replay: StoredReplay): Promise<unknown> {
  const nowMs = deps.clock.now()
  if (nowMs < replay.nextAtMs) return undefined
  const view = await deps.views.current()
  const subscription = view.byAddress.get(replay.address)
  if (!subscription) return endReplay(deps, partition, { replay, state: 'stopped', why: 'the subscription is gone' })
  const limit = Math.max(1, Math.floor((replay.ratePerSecond * SWEEP_MS) / 1000))
  const page = await nextPage(deps, replay, { subscription, view, replay: replay.id, limit })
  if (!page) return endReplay(deps, partition, { replay, state: 'finished' })
  const jobs = page.events.map(({ eventId, json, jobs: [job] }) => ({
    address: replay.address,
    lane: 'normal' as const,
    idempotency: { key: `${replay.id}:${eventId}`, fingerprint: replay.id },
    meta: JSON.parse(job?.meta ?? '{}') as JobMeta,
    data: json,
  }))
  if (jobs.length > 0) await enqueue(partition, jobs)
  // Somebody may have stopped it meanwhile.
  const current = (await readReplays(partition)).find(({ id }) => id === replay.id)
  if (current?.state !== 'running') return undefined
  await saveReplay(partition, {
    ...replay,
    positions: { ...replay.positions, [String(page.source.number)]: page.to },
    replayed: replay.replayed + jobs.length,
    looked: replay.looked + page.looked,
    erased: replay.erased + page.erased,
    nextAtMs: Math.max(nowMs - SWEEP_MS, replay.nextAtMs) + Math.round((jobs.length / replay.ratePerSecond) * 1000),
  })
  return undefined
}

/** End a replay, and say so. */
export async function endReplay(
  { clock }: Pick<ReplayerDeps, 'clock'>,
  partition: Partition,
  {
    replay,
    state,
    who = 'millrace',
    why,
  }: { replay: StoredReplay; state: 'finished' | 'stopped'; who?: string; why?: string | undefined },
): Promise<StoredReplay> {
  const ended = { ...replay, state, endedAt: new Date(clock.now()).toISOString() }
  const { namespace, queue } = splitAddress(replay.address)
  const type = state === 'finished' ? SUBSCRIPTION_EVENTS.replayFinished : SUBSCRIPTION_EVENTS.replayStopped
  const data = JSON.stringify({
    who,
    ...(why !== undefined && { why }),
    replayId: replay.id,
    replayed: replay.replayed,
  })
  // Said first, as at its start.
  await emit(partition, [{ kind: 'queue', type, namespace, queue, entityId: `queue/${queue}`, data }])
  await saveReplay(partition, ended)
  return ended
}
