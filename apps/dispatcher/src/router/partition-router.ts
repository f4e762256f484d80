import { setTimeout as delay, setImmediate as turnOfOthers } from 'node:timers/promises'
import { comparePositions } from '@millrace/contracts'
import { beforeTime, timeOf } from '@millrace/engine'
import { type Clock, type Logger, type Loop, startLoop } from '@millrace/runtime'
import {
  type FannedOut,
  fanOut,
  hold,
  isConnectionError,
  type LogPage,
  type LogReader,
  logEnd,
  openCursor,
  type Partition,
  type Partitions,
  type RoutedPosition,
  readBehind,
  readLogPage,
} from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import type { Retained } from './lag.ts'
import { type Portion, portionsOf } from './route-events.ts'
import type { SubscriptionView } from './subscription-view.ts'
import type { ViewSource } from './view-source.ts'

/**
 * Routes the log of one partition: what subscriptions ask for becomes jobs in their queues.
 *
 * Standby: another process has the lease. Ask again after a while.
 * Routing: renew the lease, read on, put each portion into the partitions that have subscriptions for it.
 *
 * The lease only keeps routers out of each other's way. What makes it exact is the cursor in each target partition, which
 * moves in the step that makes the jobs, and only from where this router saw it. Die before the step: nothing happened.
 * Die after it: the next router reads the cursors, and begins at the one that is furthest back; the others pass over
 * what they have. The group in the log marks how far back that is, so that nothing unread is trimmed.
 */
export interface PartitionRouterDeps {
  readonly reader: LogReader
  readonly partitions: Partitions
  readonly views: ViewSource
  readonly metrics: DispatcherMetrics
  readonly logger: Logger
  readonly clock: Clock
  readonly holder: string
  readonly maxWaiting: number
  readonly leaseMs: number
  readonly retained: Retained
  /** Ends a read that blocks, when the router is to stop. */
  cancelRead(): void
  onError(error: unknown): void
}

export interface PartitionRouter {
  readonly loop: Loop
  /** Whether this process routes this log now. */
  routing(): boolean
  stop(): Promise<void>
}

const LEASE = 'router'
/** A read of a quiet log ends after so long at the latest, so that the lease can be renewed. */
export const READ_BLOCK_MS = 500
const BATCH_EVENTS = 500
/**
 * So long what comes next is let gather. Without it a busy log is read entry by entry: each delivery writes several. An
 * event that comes when nothing has for a while is not held up: the read that waits for it is under way.
 */
const GATHER_MS = 5
/** Cursors of partitions that nothing was for, and the mark for retention, are brought up this often. */
const BRING_UP_MS = 500
/** A mark that stays where it is is written again this often. */
const MARK_AGAIN_MS = 10_000
/** How often a standby asks for the lease. */
const STANDBY_MS = 500

export function startPartitionRouter(deps: PartitionRouterDeps): PartitionRouter {
  const routing = new Routing(deps)
  const loop = startLoop({
    name: 'router',
    // Often enough to keep the lease; without subscriptions that is all there is to do.
    intervalMs: deps.leaseMs / 3,
    run: (signal) => routing.run(signal),
    onError(error) {
      routing.reset()
      deps.onError(error)
    },
  })
  return {
    loop,
    routing: () => routing.holds,
    async stop() {
      const stopped = loop.stop()
      deps.cancelRead()
      await stopped
      await routing.letGo()
    },
  }
}

class Routing {
  holds = false
  readonly #deps: PartitionRouterDeps
  readonly #source: Partition
  #cursors: Map<Partition, RoutedPosition> | undefined
  /** How far the log was read, and how many entries that is. */
  #read: RoutedPosition = { position: '0-0', entriesRead: 0 }
  #view: SubscriptionView | undefined
  #renewedAt = 0
  #broughtUpAt = 0
  #marked: RoutedPosition | undefined
  #markedAt = 0

  constructor(deps: PartitionRouterDeps) {
    this.#deps = deps
    this.#source = deps.reader.partition
  }

  reset(): void {
    this.#cursors = undefined
    this.#renewedAt = 0
    this.#marked = undefined
  }

  /** Route until there is a reason to pause: stopped, stood down, or an error, which rises. */
  async run(signal: AbortSignal): Promise<number | undefined> {
    while (!signal.aborted) {
      if (!(await this.#holdsLease())) return STANDBY_MS
      const view = await this.#deps.views.current()
      // What was read by an older view and is in no cursor yet has to be read again by this one.
      if (view !== this.#view) this.#cursors = undefined
      this.#view = view
      const cursors = await this.#open()
      if (view.all.length === 0) {
        await this.#passOver(cursors, view)
        return undefined
      }
      const page = await this.#readOn(view)
      for (const portion of portionsOf(page, view)) {
        if (!(await this.#put(portion, cursors, view))) break
      }
      await this.#bringUp(cursors, view)
      if (page.entries === 0) await this.#waitForMore(signal)
      else if (page.atEnd) await delay(GATHER_MS, undefined, { signal }).catch(() => undefined)
      else await turnOfOthers()
    }
    return undefined
  }

  async letGo(): Promise<void> {
    this.holds = false
    await hold(this.#source, { name: LEASE, holder: this.#deps.holder, ttlMs: 0 }).catch(() => undefined)
  }

  async #holdsLease(): Promise<boolean> {
    const { holder, clock, leaseMs } = this.#deps
    const now = clock.now()
    if (this.holds && now - this.#renewedAt < leaseMs / 3) return true
    const held = await hold(this.#source, { name: LEASE, holder, ttlMs: leaseMs })
    const holds = held.kind === 'held'
    if (holds !== this.holds) this.reset()
    this.holds = holds
    this.#renewedAt = now
    return holds
  }

  async #open(): Promise<Map<Partition, RoutedPosition>> {
    if (this.#cursors) return this.#cursors
    const { partitions, reader } = this.#deps
    const cursors = new Map<Partition, RoutedPosition>()
    for (const partition of partitions.all) cursors.set(partition, await openCursor(partition, this.#source))
    this.#read = furthestBack(cursors)
    // The group is made before anything is read: without it nothing would hold the log back.
    await reader.open(this.#read)
    this.#cursors = cursors
    return cursors
  }

  /** Nobody subscribes to anything: the log need not be read. Who comes later begins on their own. */
  async #passOver(cursors: Map<Partition, RoutedPosition>, view: SubscriptionView): Promise<void> {
    this.#read = await logEnd(this.#source)
    await this.#bringUp(cursors, view)
  }

  #readOn({ passOver }: SubscriptionView): Promise<LogPage> {
    return readLogPage(this.#source, { after: this.#read.position, count: BATCH_EVENTS, passOver })
  }

  async #waitForMore(signal: AbortSignal): Promise<void> {
    try {
      const { reader, leaseMs } = this.#deps
      await reader.wait({ after: this.#read.position, blockMs: Math.min(READ_BLOCK_MS, Math.ceil(leaseMs / 3)) })
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  /** False when the batch is to be read again, from where the cursors are. */
  async #put({ to, entries, byPartition }: Portion, cursors: Map<Partition, RoutedPosition>, view: SubscriptionView) {
    const entriesRead = this.#read.entriesRead + entries
    for (const [partition, events] of byPartition) {
      const cursor = cursors.get(partition) as RoutedPosition
      // After a death between two partitions this one may have it already.
      if (comparePositions(cursor.position, to) >= 0) continue
      const unseen = events.filter(({ position }) => comparePositions(position, cursor.position) > 0)
      if (!(await this.#move(partition, { to, entriesRead, events: unseen }, cursors, view))) return false
    }
    this.#read = { position: to, entriesRead }
    return true
  }

  async #move(
    partition: Partition,
    { to, entriesRead, events }: { to: string; entriesRead: number; events: Parameters<typeof fanOut>[1]['events'] },
    cursors: Map<Partition, RoutedPosition>,
    { revision }: SubscriptionView,
  ): Promise<boolean> {
    const cursor = cursors.get(partition) as RoutedPosition
    const result: FannedOut = await fanOut(partition, {
      source: this.#source.number,
      from: cursor.position,
      to,
      entries: Math.max(0, entriesRead - cursor.entriesRead),
      revision,
      maxWaiting: this.#deps.maxWaiting,
      events,
    })
    if (result.kind === 'routed') {
      this.#deps.metrics.routed.inc({}, result.jobs)
      cursors.set(partition, { position: to, entriesRead })
      return true
    }
    // Subscriptions have changed, or another router was quicker: read the cursors anew.
    if (result.kind === 'stale') this.#deps.views.outdated()
    this.reset()
    return false
  }

  /** Bring the cursors of partitions that nothing was for to what was read, and mark how far back the furthest is. */
  async #bringUp(cursors: Map<Partition, RoutedPosition>, view: SubscriptionView): Promise<void> {
    const { clock, reader, partitions } = this.#deps
    if (this.#cursors !== cursors || clock.now() - this.#broughtUpAt < BRING_UP_MS) return
    this.#broughtUpAt = clock.now()
    const { position, entriesRead } = this.#read
    for (const [partition, cursor] of cursors) {
      if (comparePositions(cursor.position, position) >= 0) continue
      if (!(await this.#move(partition, { to: position, entriesRead, events: [] }, cursors, view))) return
    }
    const alone = (await Promise.all(partitions.all.map(readBehind))).flat()
    const keepsFrom = this.#deps.retained.get(this.#source.number) ?? '0-0'
    const mine = alone
      .filter(({ source, position }) => source === this.#source.number && comparePositions(position, keepsFrom) >= 0)
      .map((behind) => behind.position)
    const furthest = [position, ...mine].toSorted(comparePositions)[0] as string
    // A position may be in the middle of an entry, which must not be trimmed then: the mark stays before its millisecond.
    const mark = { ...this.#read, position: beforeTime(timeOf(furthest)) }
    const stays = mark.position === this.#marked?.position && mark.entriesRead === this.#marked.entriesRead
    // Each time would be a write for nothing; now and then all the same, should somebody have destroyed the group.
    if (stays && clock.now() - this.#markedAt < MARK_AGAIN_MS) return
    await reader.commit(mark)
    this.#marked = mark
    this.#markedAt = clock.now()
  }
}

function furthestBack(cursors: Map<Partition, RoutedPosition>): RoutedPosition {
  return [...cursors.values()].toSorted((a, b) => comparePositions(a.position, b.position))[0] as RoutedPosition
}

export function reportOutside(logger: Logger, event: string): (error: unknown) => void {
  return (error) => {
    if (!isConnectionError(error)) logger.error({ event, err: error }, 'routing failed, it is tried again')
  }
}
