import { JOB_EVENTS, parsePosition } from '@millrace/contracts'
import type { Entry } from '../recorder/batch.ts'
import type { Key } from '../store/database.ts'
import type { JobRow, QueueStatsRow } from '../store/schema.ts'
import { amountIn, plus } from './members.ts'
import type { Rows } from './rows.ts'

/** Lengths of the periods that are counted in, each begun at a multiple of itself since 1970, so in UTC. */
export const RESOLUTIONS = { minute: 60_000, hour: 3_600_000, day: 86_400_000 } as const
export type Resolution = keyof typeof RESOLUTIONS

const COUNTED = {
  [JOB_EVENTS.enqueued]: 'enqueued',
  [JOB_EVENTS.started]: 'started',
  [JOB_EVENTS.succeeded]: 'succeeded',
  [JOB_EVENTS.attemptFailed]: 'failed',
  [JOB_EVENTS.deadLettered]: 'dead',
  [JOB_EVENTS.cancelled]: 'cancelled',
  [JOB_EVENTS.expired]: 'expired',
} as const

type Counts = {
  -readonly [Name in keyof Omit<QueueStatsRow, 'namespace' | 'queue' | 'resolution' | 'start_ms'>]: number
}

/** Whoever may write to the log may call an event anything, `constructor` too. */
function countedAs(type: string) {
  return Object.hasOwn(COUNTED, type) ? COUNTED[type as keyof typeof COUNTED] : undefined
}

/** The key of the minute that an event counts in; undefined when it is not counted. */
export function countedMinute({ event, fact }: Entry): Key | undefined {
  if (countedAs(event.type) === undefined) return undefined
  const { ms } = parsePosition(event.position)
  return [fact.namespace, fact.where.queue ?? '', 'minute' satisfies Resolution, ms - (ms % RESOLUTIONS.minute)]
}

interface Minute {
  readonly namespace: string
  readonly queue: string
  readonly startMs: number
  readonly counts: Counts
}

/**
 * Counts a batch by queue and minute, then adds it to the minute, its hour and its day. All three are counted from the
 * events themselves, so that deleting old minutes costs the hours nothing.
 */
export function createQueueStats() {
  const minutes: Minute[] = []
  // Events come in runs of one queue and one minute.
  let current: Minute | undefined
  const minuteOf = (namespace: string, queue: string, ms: number): Minute => {
    const startMs = ms - (ms % RESOLUTIONS.minute)
    if (current?.startMs === startMs && current.queue === queue && current.namespace === namespace) return current
    current = minutes.find((one) => one.startMs === startMs && one.queue === queue && one.namespace === namespace)
    current ??= minutes[minutes.push({ namespace, queue, startMs, counts: noCounts() }) - 1] as Minute
    return current
  }

  return {
    /** `before` is the job as it was before this event. */
    count({ event, fact }: Entry, before: JobRow | undefined): void {
      const counted = countedAs(event.type)
      if (counted === undefined) return
      const nowMs = parsePosition(event.position).ms
      const { counts } = minuteOf(fact.namespace, fact.where.queue ?? '', nowMs)
      if (counted === 'failed' && fact.body?.counted === false) counts.postponed++
      else counts[counted]++
      if (counted === 'started') {
        const waitMs = Math.max(0, nowMs - (before?.ready_at_ms ?? nowMs))
        counts.wait_ms = plus(counts.wait_ms, waitMs)
        counts.max_wait_ms = Math.max(counts.max_wait_ms, waitMs)
      } else if (counted === 'succeeded' || counted === 'failed') {
        const runMs = amountIn(fact.body, 'durationMs') ?? Math.max(0, nowMs - (before?.started_at_ms ?? nowMs))
        counts.run_ms = plus(counts.run_ms, runMs)
        counts.max_run_ms = Math.max(counts.max_run_ms, runMs)
      }
    },

    async addTo(rows: Rows<'queue_stats'>): Promise<void> {
      const periods = minutes.flatMap((minute) =>
        (Object.keys(RESOLUTIONS) as Resolution[]).map((resolution) => ({
          minute,
          key: [
            minute.namespace,
            minute.queue,
            resolution,
            minute.startMs - (minute.startMs % RESOLUTIONS[resolution]),
          ] as const,
        })),
      )
      await rows.load(periods.map(({ key }) => key))
      for (const { minute, key } of periods) {
        const [namespace, queue, resolution, start_ms] = key
        rows.put({ namespace, queue, resolution, start_ms, ...sum(rows.get(...key), minute.counts) }, ...key)
      }
    },
  }
}

function sum(known: Counts | undefined, more: Counts): Counts {
  const counts = noCounts()
  for (const name of Object.keys(counts) as (keyof Counts)[]) {
    const before = known?.[name] ?? 0
    counts[name] = name.startsWith('max_') ? Math.max(before, more[name]) : plus(before, more[name])
  }
  return counts
}

function noCounts(): Counts {
  return {
    ...{ enqueued: 0, started: 0, succeeded: 0, failed: 0, postponed: 0, dead: 0, cancelled: 0, expired: 0 },
    ...{ wait_ms: 0, max_wait_ms: 0, run_ms: 0, max_run_ms: 0 },
  }
}
