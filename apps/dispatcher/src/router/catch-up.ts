import { comparePositions } from '@millrace/contracts'
import { type Loop, startLoop } from '@millrace/runtime'
import {
  type Behind,
  type Counts,
  type FannedOut,
  fanOut,
  logStart,
  type Partition,
  type Partitions,
  readBehind,
  readCounts,
  readRouted,
  skipBehind,
  splitAddress,
  type Taken,
  takeLogged,
} from '@millrace/streams'
import type { History } from '../events/history.ts'
import { missingBehind, readPast } from '../events/past-log.ts'
import type { DispatcherMetrics } from '../metrics.ts'
import { firstPortion, routeAlone } from './route-events.ts'
import { hearsPlatform, type Subscription, type SubscriptionView } from './subscription-view.ts'
import type { ViewSource } from './view-source.ts'

export interface CatchUpDeps {
  /** The log that is read. */
  readonly source: Partition
  readonly partitions: Partitions
  readonly views: ViewSource
  /** Where older events come from than the log has. */
  readonly history: History
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
 * Taken where they lie in one call, 1.5 ms of the store: while it lasts nobody claims, and with 500 at once the dispatcher ran dry. So
 * many calls follow each other before the cursors of all are looked at again.
 */
const TAKEN_AT_ONCE = 200
const TAKES = 5

/**
 * Reads one log for the subscriptions that are not with the common cursor: new ones that begin earlier, ones that were
 * moved, and ones whose queue has so much waiting that the log keeps the rest for them. Each has a cursor of its own, which
 * moves with its jobs in one step, and one that is slow or full never makes another wait.
 */
export function startCatchUp(deps: CatchUpDeps): Loop {
  const full = new Set<string>()
  return startLoop({
    name: 'catch-up',
    intervalMs: QUIET_MS,
    onError: deps.onError,
    async run(signal) {
      if (!deps.mayRun()) return SWEEP_MS
      if ((await deps.views.current()).all.length === 0) return QUIET_MS
      const turns = await Promise.all(deps.partitions.all.map((partition) => serve(deps, partition, { full, signal })))
      // Somebody has more to read: go on at once.
      return turns.includes('more') ? 0 : SWEEP_MS
    },
  })
}

/** What a turn came to: there is more to read, all was read, or the queue has enough. */
type Turn = 'more' | 'done' | 'full'

async function serve(
  deps: CatchUpDeps,
  partition: Partition,
  /** `full`: whose queue had enough when it was last looked at. */
  { full, signal }: { full: Set<string>; signal: AbortSignal },
): Promise<Turn> {
  const behind = (await readBehind(partition)).filter(({ source }) => source === deps.source.number)
  if (behind.length === 0) return 'done'
  const view = await deps.views.current()
  // The common cursor first: what lies before it is in the log that is read then.
  const common = (await readRouted(partition)).get(deps.source.number)?.position
  const stillFull = await withoutRoom(deps, partition, full)
  let turn: Turn = 'done'
  for (const one of behind) {
    const subscription = view.byAddress.get(one.address)
    if (!subscription || common === undefined || signal.aborted || stillFull.has(one.address)) continue
    const stepped = await step(deps, { one, subscription, view, common }).catch((error): Turn => {
      // It may have to wait for the audit app; the others go on.
      deps.onError(error)
      return 'done'
    })
    if (stepped === 'full') full.add(one.address)
    else full.delete(one.address)
    if (stepped === 'more') turn = 'more'
  }
  return turn
}

/**
 * Which of these still have enough: asking costs less than reading five hundred events for nothing, four times a second.
 * And so does waiting until there is room for as many as are read, rather than for the few that went in between.
 */
async function withoutRoom(
  { partitions, maxWaiting }: CatchUpDeps,
  partition: Partition,
  full: ReadonlySet<string>,
): Promise<ReadonlySet<string>> {
  const here = [...full].filter((address) => partitions.of(address) === partition)
  if (here.length === 0) return new Set()
  const counts = await readCounts(partition, here)
  const enough = maxWaiting - Math.min(2 * BATCH_EVENTS, Math.floor(maxWaiting / 4))
  return new Set(
    here.filter((_, index) => {
      const { waiting, scheduled, running, draining } = counts[index] as Counts
      return draining !== undefined || waiting + scheduled + running > enough
    }),
  )
}

/** Whom a step is for: the subscription, where it is, and where the common cursor is. */
interface Reading {
  readonly one: Behind
  readonly subscription: Subscription
  readonly view: SubscriptionView
  readonly common: string
}

async function step(deps: CatchUpDeps, reading: Reading): Promise<Turn> {
  const { source, metrics, views, history } = deps
  if (!history.isThere && (await skipTrimmed({ source, metrics }, reading.subscription.partition, reading.one)))
    return 'more'
  const taken = await takeWhereItLies(deps, reading)
  // What is not in the log any more, or has to be looked at, is read.
  const put = taken.kind === 'past' || taken.kind === 'choose' ? await readAndPut(deps, reading) : taken
  if (put.kind === 'stale') views.outdated()
  if (put.kind === 'full') return 'full'
  if (put.kind !== 'routed') return 'done'
  metrics.routed.inc({}, put.jobs)
  if (put.left > 0) return 'full'
  return put.atEnd ? 'done' : 'more'
}

/** Whoever asks for types alone, in a log of its own partition, gets them without their being sent to us. */
async function takeWhereItLies(
  { source, maxWaiting }: CatchUpDeps,
  { one, subscription, view }: Reading,
): Promise<Taken> {
  const { isByTypeAlone, partition, types } = subscription
  if (!isByTypeAlone || partition !== source) return { kind: 'choose' }
  const call = { revision: view.revision, alone: one.address, maxWaiting, count: TAKEN_AT_ONCE, types }
  let from = one.position
  let jobs = 0
  for (let took = 0; took < TAKES; took++) {
    const taken = await takeLogged(source, { ...call, from })
    if (taken.kind !== 'routed') return jobs > 0 ? { kind: 'routed', jobs, left: 0, atEnd: false, to: from } : taken
    from = taken.to
    jobs += taken.jobs
    if (taken.left > 0 || taken.atEnd) return { ...taken, jobs }
  }
  return { kind: 'routed', jobs, left: 0, atEnd: false, to: from }
}

async function readAndPut(
  { source, maxWaiting, history }: CatchUpDeps,
  { one, subscription, view, common }: Reading,
): Promise<Exclude<FannedOut, { kind: 'routed' }> | Extract<Taken, { kind: 'routed' }>> {
  const page = await readPast(history, source, {
    after: one.position,
    count: BATCH_EVENTS,
    publishedOnly: !hearsPlatform(subscription.types),
    passOver: subscription.passOver,
  })
  const events = firstPortion(page.events)
  const isWhole = events.length === page.events.length
  const last = isWhole ? page.through : (events.at(-1)?.position ?? one.position)
  const atEnd = isWhole && page.atEnd
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
  return result.kind === 'routed' ? { ...result, atEnd, to } : result
}

/** It asks for what the log no longer has, and there is nobody to ask for it: it begins with the log, and that is said. */
async function skipTrimmed(
  { source, metrics }: Pick<CatchUpDeps, 'source' | 'metrics'>,
  partition: Partition,
  { address, position }: Behind,
): Promise<boolean> {
  const start = missingBehind(await logStart(source), position)
  if (!start) return false
  if (!(await skipBehind(partition, { address, source: source.number, to: start.before }))) return false
  metrics.lostEvents.inc(splitAddress(address))
  return true
}
