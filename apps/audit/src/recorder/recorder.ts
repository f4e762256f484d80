import { randomBytes } from 'node:crypto'
import { setImmediate as turnOfOthers } from 'node:timers/promises'
import { type LogEvent, partitionLabel } from '@millrace/contracts'
import { type Clock, type Logger, type Loop, Pulse, startLoop } from '@millrace/runtime'
import { hold, LOG_READERS, type LogReader, readStoreMemory, trimLog } from '@millrace/streams'
import type { AuditMetrics } from '../metrics.ts'
import type { Cursor } from '../store/cursor.ts'
import { type Appended, FencedError, type Trail } from '../store/trail.ts'
import { type Entries, toBatch } from './batch.ts'
import { createBatchSize } from './batch-size.ts'
import { createReadAhead } from './read-ahead.ts'
import type { Signals } from './signals.ts'

/**
 * The recorder of one partition: it folds the log into the store, in order, each event once.
 *
 * Standby: another process has the lease. Ask for it again after a while.
 * Recording: renew the lease, read on from the cursor, append, mark the position in Redis, trim.
 *
 * The lease keeps recorders out of each other's way; what keeps the trail right is the cursor, which moves in the
 * transaction of the records and only from where this recorder saw it. Die before the commit: nothing happened. Die after
 * it: the mark in Redis is behind, and the next batch moves it. Any error: pause, read the cursor anew, go on from there.
 */
export interface RecorderDeps {
  readonly reader: LogReader
  readonly trail: Trail
  readonly signals: Signals
  readonly metrics: AuditMetrics
  readonly logger: Logger
  readonly clock: Clock
  /** This process, among those that may record. */
  readonly holder: string
  /** About how many of the newest events stay in the log after they were recorded. */
  readonly keepEvents: number
  /** Ends a read that blocks, when the recorder is to stop. */
  cancelRead(): void
}

export type RecorderState = 'starting' | 'standby' | 'recording'

export interface Recorder {
  /** Why it does not turn, undefined while it records or stands by. */
  problem(): string | undefined
  state(): RecorderState
  /** Finish the batch, let the lease go. */
  stop(): Promise<void>
}

const LEASE = 'recorder'
/** Long enough for a slow fsync between two renewals, short enough that a killed recorder is replaced soon. */
const LEASE_TTL_MS = 3000
const RENEW_AFTER_MS = 1000
/** A quiet recorder comes round this often, to renew. */
export const READ_BLOCK_MS = 1000
const TRIM_EVERY_MS = 2000
/** And where nothing has been recorded since: another reader may have come further, or the store be nearly full. */
const TRIM_QUIET_EVERY_MS = 10_000
/**
 * From this share of `maxmemory` on nothing stays in the log that every group has read: it is what takes the room, and what is
 * there only for convenience. The rest is for what comes between two looks.
 */
const NEARLY_FULL = 0.9
/** How long after an error, and how often a standby asks for the lease. */
const PAUSE_MS = 500
/** A recorder comes round each second, records or not; one that waits for a database that does not answer comes no more. */
const SILENT_MS = 10_000

export function startRecorder(deps: RecorderDeps): Recorder {
  const recording = new Recording(deps)
  const loop: Loop = startLoop({
    name: 'recorder',
    intervalMs: PAUSE_MS,
    run: (signal) => recording.run(signal),
    onError: (error) => recording.failed(error),
  })
  return {
    problem: () => recording.problem ?? recording.pulse.problem(),
    state: () => recording.state,
    async stop() {
      const stopped = loop.stop()
      deps.cancelRead()
      await stopped
      await recording.letGo()
    },
  }
}

class Recording {
  state: RecorderState = 'starting'
  problem: string | undefined
  readonly pulse = new Pulse({ done: 'turned', everyMs: SILENT_MS, failingForMs: SILENT_MS })
  readonly #deps: RecorderDeps
  readonly #label: string
  readonly #ahead: ReturnType<typeof createReadAhead>
  readonly #size = createBatchSize()
  #cursor: Cursor | undefined
  #renewedAt = 0
  #trimmedAt = 0
  /** Where the recorder was when it trimmed. */
  #trimmedFor: Cursor | undefined

  constructor(deps: RecorderDeps) {
    this.#deps = deps
    this.#label = partitionLabel(deps.reader.partition.number)
    this.#ahead = createReadAhead({ reader: deps.reader, blockMs: READ_BLOCK_MS, randomBytes })
    deps.metrics.recorder.set({ partition: this.#label }, 0)
    deps.metrics.failures.labels({ partition: this.#label })
    deps.metrics.trimmed.labels({ partition: this.#label })
  }

  /** Record until there is a reason to pause: stopped, stood down, or an error, which rises. */
  async run(signal: AbortSignal): Promise<undefined> {
    while (!signal.aborted) {
      const holds = await this.#holdsLease()
      if (!holds) this.pulse.beat()
      if (!holds) return
      const cursor = await this.#position()
      const read = await this.#read(cursor, signal)
      if (read.entries.length > 0) await this.#record(cursor, read)
      this.#recovered()
      this.pulse.beat()
      await this.#trim()
      // The requests that came in during the batch are answered before the next one.
      await turnOfOthers()
    }
  }

  failed(error: unknown): void {
    const { logger, metrics } = this.#deps
    this.#cursor = undefined
    this.#renewedAt = 0
    if (error instanceof FencedError) {
      logger.warn(
        { event: 'recorder.fenced', partition: this.#label, reason: error.message },
        'another recorder is ahead',
      )
      return
    }
    const problem = error instanceof Error ? error.message : String(error)
    metrics.failures.inc({ partition: this.#label })
    // An outage is one line in the log, not one for each try.
    if (problem !== this.problem)
      logger.error(
        { event: 'recorder.failed', partition: this.#label, err: error },
        'recording failed, it is tried again',
      )
    this.problem = problem
  }

  /** Best effort: should Redis be away, the lease lapses by itself. */
  async letGo(): Promise<void> {
    this.#enter('standby')
    await hold(this.#deps.reader.partition, { name: LEASE, holder: this.#deps.holder, ttlMs: 0 }).catch(() => undefined)
  }

  #recovered(): void {
    if (this.problem === undefined) return
    this.problem = undefined
    this.#deps.logger.info({ event: 'recorder.recovered', partition: this.#label }, 'recording again')
  }

  async #holdsLease(): Promise<boolean> {
    const { reader, holder, clock } = this.#deps
    const now = clock.now()
    if (this.state === 'recording' && now - this.#renewedAt < RENEW_AFTER_MS) return true
    const held = await hold(reader.partition, { name: LEASE, holder, ttlMs: LEASE_TTL_MS })
    this.#enter(held.kind === 'held' ? 'recording' : 'standby')
    if (held.kind === 'other') this.#recovered()
    this.#renewedAt = now
    return held.kind === 'held'
  }

  #enter(state: RecorderState): void {
    if (state === this.state) return
    this.state = state
    // Whoever recorded in between has moved the cursor.
    this.#cursor = undefined
    this.#deps.metrics.recorder.set({ partition: this.#label }, state === 'recording' ? 1 : 0)
    this.#deps.logger.info({ event: `recorder.${state}`, partition: this.#label }, `recorder is ${state}`)
  }

  async #position(): Promise<Cursor> {
    if (this.#cursor) return this.#cursor
    const { reader, trail } = this.#deps
    const cursor = await trail.readCursor(reader.partition.number)
    // The group is made before anything is read: without it nothing would hold the log back. Should its mark be ahead of
    // the store (a store put back from a copy), it is taken back, so that nothing more is trimmed unread.
    await reader.open(cursor)
    await reader.commit(cursor)
    this.#cursor = cursor
    return cursor
  }

  async #read({ position }: Cursor, signal: AbortSignal): Promise<Entries> {
    try {
      return await this.#ahead.take({ after: position, count: this.#size.events })
    } catch (error) {
      if (signal.aborted) return { entries: [], salts: [] }
      throw error
    }
  }

  async #record(cursor: Cursor, read: Entries): Promise<void> {
    const { reader, trail, metrics, clock } = this.#deps
    const stopTimer = metrics.foldDuration.labels({}).startTimer()
    const startedAtMs = clock.now()
    const batch = toBatch(read, { partition: reader.partition.number, from: cursor })
    for (const { event, fact } of batch.entries) if (!fact.body) this.#reportUnreadable(event)
    // While the database writes, what follows is read from Redis and taken apart; not before, or that would hold up the records
    // that the database waits for.
    const appended = await trail.append(batch, () => {
      this.#ahead.begin({ after: batch.to.position, count: this.#size.events })
    })
    this.#cursor = appended.cursor
    stopTimer()
    this.#size.took({ events: batch.entries.length, ms: clock.now() - startedAtMs })
    if (appended.obstructed) this.#reportObstructed()
    this.#announce(appended)
    await reader.commit(appended.cursor)
  }

  #announce({ records, jobs }: Appended): void {
    const { metrics, signals } = this.#deps
    signals.announce(() => [...records.map((record) => record.event_id), ...jobs.map((job) => job.id)])
    metrics.recorded(records)
  }

  #reportObstructed(): void {
    this.#deps.logger.error(
      { event: 'recorder.obstructed', partition: this.#label },
      'rows of the trail were added or removed by somebody else; recording goes on behind them, verify to see where',
    )
  }

  #reportUnreadable({ position, kind, type }: LogEvent): void {
    this.#deps.logger.warn(
      { event: 'recorder.unreadable_event', partition: this.#label, position, kind, type },
      'the data of this event is not a JSON object; it is recorded as it stands',
    )
  }

  async #trim(): Promise<void> {
    const { reader, clock, keepEvents, metrics } = this.#deps
    const everyMs = this.#cursor === this.#trimmedFor ? TRIM_QUIET_EVERY_MS : TRIM_EVERY_MS
    if (clock.now() - this.#trimmedAt < everyMs) return
    this.#trimmedAt = clock.now()
    this.#trimmedFor = this.#cursor
    const { usedBytes, limitBytes } = await readStoreMemory(reader.partition)
    const keep = limitBytes > 0 && usedBytes > limitBytes * NEARLY_FULL ? 0 : keepEvents
    const entries = await trimLog(reader.partition, { keep, readers: Object.values(LOG_READERS) })
    metrics.trimmed.inc({ partition: this.#label }, entries)
  }
}
