import { afterTaking, afterWatching, nextMove, type RedriveState, stopRedrive, WATCH_MS } from '@millrace/engine'
import { type Loop, startSteps } from '@millrace/runtime'
import {
  findJob,
  fullAddress,
  type Partition,
  type Partitions,
  readRedrive,
  runningRedrives,
  sharedLease,
  storeTime,
} from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import { searchLetters } from './letter-search.ts'
import { type KnownRedrive, saveRedrive } from './redrive-store.ts'

export interface RedriverDeps {
  readonly partitions: Partitions
  readonly metrics: Pick<DispatcherMetrics, 'redriven'>
  readonly leaseMs: number
  onError(error: unknown): void
}

/** How soon a redrive is noticed that was begun through another dispatcher, or left by one that died. */
const SWEEP_MS = 1000
/** Letters that one step looks at; the place is kept after each, so a long search is not begun anew. */
const MAX_LOOKED_AT = 1000

/** Advance the redrives that run, in every partition that no other dispatcher advances. */
export function startRedriver({ partitions, metrics, leaseMs, onError }: RedriverDeps): Loop {
  return startSteps({
    name: 'redriver',
    places: partitions.all,
    sweepMs: SWEEP_MS,
    running: runningRedrives,
    lease: sharedLease({ name: 'redriver', ttlMs: leaseMs }),
    step: (partition, id) => takeStep(partition, id, metrics),
    onError,
  })
}

/** One step of one redrive. Returns in how many ms the next is worth trying; 0 = now. */
async function takeStep(partition: Partition, id: string, metrics: RedriverDeps['metrics']): Promise<number> {
  const text = await readRedrive(partition, id)
  if (text === undefined) return SWEEP_MS
  const state = JSON.parse(text) as RedriveState
  if (state.state !== 'running') return SWEEP_MS
  const known = { partition, text, state }
  const nowMs = await storeTime(partition)
  const move = nextMove(state, nowMs)
  switch (move.kind) {
    case 'wait':
      return move.ms
    case 'watch':
      return watch(known, move.ids)
    case 'take': {
      const taken = await take(known, { atMost: move.atMost, nowMs })
      metrics.redriven.inc({ namespace: state.filter.namespace, queue: state.filter.queue }, taken)
      return 0
    }
    case 'end':
      await saveRedrive(known, move.next)
      return SWEEP_MS
    default:
      return move satisfies never
  }
}

/** Put the next letters back. Returns how many. */
async function take(known: KnownRedrive, { atMost, nowMs }: { atMost: number; nowMs: number }): Promise<number> {
  const { partition, state } = known
  const { filter, after, upTo } = state
  const address = fullAddress(filter.namespace, filter.queue)
  const found = await searchLetters(partition, {
    ...{ address, criteria: filter, upTo, limit: atMost, maxLookedAt: MAX_LOOKED_AT },
    ...(after !== '' && { after }),
  })
  const { lookedAt, next = '' } = found
  let ids = found.letters.map((letter) => letter.id)
  for (;;) {
    const to = afterTaking(state, { ids, lookedAt, after: next, exhausted: next === '', nowMs })
    const result = await saveRedrive(known, to, ids)
    switch (result.kind) {
      case 'advanced':
        return ids.length
      case 'conflict':
        return 0
      case 'closed':
        await saveRedrive(known, stopRedrive(state, { who: 'millrace', why: 'the queue is closed', nowMs }))
        return 0
      case 'gone': {
        // Somebody redrove or discarded them since we looked.
        const gone = new Set(result.ids)
        ids = ids.filter((id) => !gone.has(id))
        break
      }
      default:
        result satisfies never
    }
  }
}

/** See what has become of the jobs of a canary's step: a dead letter again, or at another end. */
async function watch(known: KnownRedrive, ids: readonly string[]): Promise<number> {
  const { partition, state } = known
  const places = await Promise.all(ids.map((id) => findJob(partition, id)))
  const died = ids.filter((_, index) => places[index]?.state === 'dead')
  const ended = ids.filter((_, index) => places[index] === undefined)
  const next = afterWatching(state, { died, ended })
  if (next === state) return WATCH_MS
  await saveRedrive(known, next)
  return 0
}
