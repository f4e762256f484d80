import { comparePositions, JOB_EVENTS, type LogEvent, parseId } from '@millrace/contracts'
import { readFact } from '@millrace/engine'
import { type Partition, type Partitions, readLogRange } from '@millrace/streams'
import type { Kysely } from 'kysely'
import { asJson, withRaw } from '../api/json-text.ts'
import { findJob, findLatestRecords, isFinal } from '../queries/jobs.ts'
import { evolveJob } from '../read-models/job.ts'
import type { Cursor } from '../store/cursor.ts'
import type { AuditDatabase, JobRow } from '../store/schema.ts'
import type { LogFeed } from './log-feed.ts'
import { Outbox, type ProgressMessage } from './outbox.ts'

export interface ProgressDeps {
  readonly read: Kysely<AuditDatabase>
  readonly partitions: Partitions
  readonly feed: LogFeed
  readCursor(partition: number): Promise<Cursor>
}

export interface ProgressStream {
  /** Of the job. */
  readonly namespace: string
  /** How the job stands at the moment; what follows goes on from there. */
  begin(): ProgressMessage
  /** What follows, until the job is at its end, the log cannot be followed any more, or `signal` fires. */
  following(signal: AbortSignal): AsyncGenerator<ProgressMessage>
  close(): void
}

const PAGE = 1000

/**
 * Follow how far a job is; undefined when there is no such job. The store tells how it stood when the recorder last
 * wrote, the log what has happened since, and the feed what happens from now on: listening begins first, so that
 * nothing falls in between, and what is heard twice is passed over by its position.
 */
export async function openProgress(deps: ProgressDeps, id: string): Promise<ProgressStream | undefined> {
  const parts = parseId(id)
  const partition = parts?.prefix === 'job' ? deps.partitions.byNumber(parts.partition) : undefined
  if (!partition) return undefined
  const told: LogEvent[] = []
  let onEvent = (event: LogEvent): void => void told.push(event)
  const broken = new AbortController()
  const { position, leave } = await deps.feed.listen(partition, {
    key: `job:${id}`,
    onEvent: (event) => onEvent(event),
    onBroken: () => broken.abort(),
  })
  try {
    const progress = new JobProgress(await standing(deps, { id, partition, until: position }), {
      leave,
      broken: broken.signal,
    })
    onEvent = (event) => progress.take(event)
    for (const event of told) progress.take(event)
    if (progress.isKnown) return progress
  } catch (error) {
    leave()
    throw error
  }
  leave()
  return undefined
}

interface Standing {
  job: JobRow | undefined
  progress: string | undefined
  position: string
}

/** How the job stands at a position of the log. */
async function standing(
  { read, readCursor }: ProgressDeps,
  { id, partition, until }: { id: string; partition: Partition; until: string },
): Promise<Standing> {
  // The cursor first: whatever is written meanwhile is then read again from the log, and not missed.
  const cursor = await readCursor(partition.number)
  const found = await findJob(read, id)
  const latest = found && (await findLatestRecords(read, found))
  let stand: Standing = { job: found, progress: latest?.progress, position: latest?.position ?? '0-0' }
  let from = cursor.position
  while (comparePositions(from, until) < 0) {
    const events = await readLogRange(partition, { from: `(${from}`, to: until, count: PAGE })
    for (const event of events) if (event.entityId === id) stand = after(stand, event)
    from = events.length < PAGE ? until : (events.at(-1)?.position ?? until)
  }
  return stand
}

function after(stand: Standing, event: LogEvent): Standing {
  if (event.kind !== 'job' || comparePositions(event.position, stand.position) <= 0) return stand
  const { position } = event
  if (event.type === JOB_EVENTS.progress) return { ...stand, position, progress: asJson(event.data) }
  return { ...stand, position, job: evolveJob(stand.job, { event, fact: readFact(event) }) }
}

class JobProgress implements ProgressStream {
  #stand: Standing
  readonly #leave: () => void
  readonly #broken: AbortSignal
  readonly #outbox = new Outbox(3)

  constructor(stand: Standing, { leave, broken }: { leave: () => void; broken: AbortSignal }) {
    this.#stand = stand
    this.#leave = leave
    this.#broken = broken
  }

  get namespace(): string {
    return this.#stand.job?.namespace ?? ''
  }

  get isKnown(): boolean {
    return this.#stand.job !== undefined
  }

  take(event: LogEvent): void {
    const before = this.#stand
    this.#stand = after(before, event)
    const { job, progress } = this.#stand
    if (progress !== undefined && progress !== before.progress) {
      this.#outbox.put('progress', { kind: 'progress', id: event.position, data: progress })
    } else if (job && job.state !== before.job?.state) {
      const now = this.#now()
      this.#outbox.put(now.kind, now)
    }
  }

  begin(): ProgressMessage {
    this.#outbox.clear()
    return this.#now()
  }

  async *following(signal: AbortSignal): AsyncGenerator<ProgressMessage> {
    for await (const message of this.#outbox.messages(signal, this.#broken)) {
      yield message
      if (message.kind === 'end') return
    }
  }

  close(): void {
    this.#leave()
  }

  #now(): ProgressMessage {
    const { job, progress, position } = this.#stand
    const { id, state, attempts, reason } = job as JobRow
    const view = { id, state, attempts, ...(reason !== null && { reason }) }
    const data = progress === undefined ? JSON.stringify(view) : withRaw(view, 'progress', progress)
    return { kind: isFinal(job as JobRow) ? 'end' : 'state', id: position, data }
  }
}
