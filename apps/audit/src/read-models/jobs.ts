import { JOB_EVENTS, parsePosition } from '@millrace/contracts'
import type { Entry } from '../recorder/batch.ts'
import type { AttemptRow } from '../store/schema.ts'
import { together } from '../store/together.ts'
import { evolveJob } from './job.ts'
import { amountIn, smallNumberIn, textIn } from './members.ts'
import { createQueueStats } from './queue-stats.ts'
import type { ModelRows } from './rows.ts'

/** Fold what happened to jobs into jobs, their attempts, and the statistics of their queues. */
export async function foldJobs(entries: readonly Entry[], rows: ModelRows): Promise<void> {
  const ofJobs = entries.filter(({ event }) => event.kind === 'job')
  if (ofJobs.length === 0) return
  const attempts = ofJobs.map(epochsOf)
  await together([
    rows.jobs.load(ofJobs.map(({ fact }) => [fact.entityId])),
    rows.attempts.load(attempts.flatMap((epochs, at) => epochs.map((epoch) => [ofJobs[at]!.fact.entityId, epoch]))),
  ])
  const stats = createQueueStats()
  ofJobs.forEach((entry, at) => {
    const { entityId } = entry.fact
    const before = rows.jobs.get(entityId)
    stats.count(entry, before)
    const after = evolveJob(before, entry)
    if (after && after !== before) rows.jobs.put(after, entityId)
    foldAttempt(entry, attempts[at] as number[], rows)
  })
  await stats.addTo(rows.queue_stats)
}

/** The delivery that an event is about and, of a takeover, the one before, which ends with it. */
export function epochsOf({ event, fact: { body } }: Entry): number[] {
  const epoch = smallNumberIn(body, 'epoch')
  if (epoch === undefined) return []
  switch (event.type) {
    case JOB_EVENTS.started:
    case JOB_EVENTS.succeeded:
    case JOB_EVENTS.attemptFailed:
      return [epoch]
    case JOB_EVENTS.takenOver:
      return [epoch, epoch - 1]
    default:
      return []
  }
}

function foldAttempt({ event, fact }: Entry, [epoch, previous]: number[], { attempts }: ModelRows): void {
  if (epoch === undefined) return
  const nowMs = parsePosition(event.position).ms
  const { entityId: id, body } = fact
  const known = attempts.get(id, epoch)
  const begun: AttemptRow = {
    job_id: id,
    epoch,
    namespace: fact.namespace,
    queue: fact.where.queue ?? '',
    attempt: smallNumberIn(body, 'attempt') ?? 0,
    consumer: textIn(body, 'consumer') ?? null,
    outcome: 'running',
    started_at_ms: nowMs,
    finished_at_ms: null,
    duration_ms: null,
    status: null,
    reason: null,
  }
  if (event.type === JOB_EVENTS.started || event.type === JOB_EVENTS.takenOver) {
    attempts.put(begun, id, epoch)
    const left = previous === undefined ? undefined : attempts.get(id, previous)
    if (left?.outcome !== 'running') return
    attempts.put({ ...left, outcome: 'taken_over', finished_at_ms: nowMs }, id, left.epoch)
    return
  }
  const failed = event.type === JOB_EVENTS.attemptFailed
  const outcome = !failed ? 'succeeded' : body?.counted === false ? 'postponed' : 'failed'
  const durationMs = amountIn(body, 'durationMs') ?? null
  attempts.put(
    {
      ...(known ?? { ...begun, started_at_ms: nowMs - (durationMs ?? 0) }),
      outcome,
      finished_at_ms: nowMs,
      duration_ms: durationMs,
      status: smallNumberIn(body, 'status') ?? null,
      reason: failed ? (textIn(body, 'reason') ?? null) : null,
    },
    id,
    epoch,
  )
}
