import { randomBytes } from 'node:crypto'
import { type EventKind, formatId, type LogEvent } from '@millrace/contracts'
import { readEntries, toBatch } from '../src/recorder/batch.ts'
import type { Store } from '../src/store/open-store.ts'

/** 2026-01-01T00:00:00.000Z */
export const START_MS = 1_767_225_600_000

export interface Said {
  readonly kind?: EventKind
  readonly type: string
  readonly data?: unknown
  readonly namespace?: string
  readonly queue?: string
  readonly entityId?: string
  /** Since the first event. */
  readonly atMs?: number
}

/** The events of a log, in their order, as the recorder reads them. A `job.enqueued` without an entity makes its own id. */
export function logOf(said: readonly Said[], { partition = 0, from = 0 } = {}): LogEvent[] {
  return said.map((one, index) => {
    const ms = START_MS + (one.atMs ?? 0)
    const seq = from + index
    return {
      position: `${ms}-${seq}`,
      endsEntry: true,
      partition,
      kind: one.kind ?? 'job',
      type: one.type,
      namespace: one.namespace ?? 'shop',
      queue: one.queue ?? 'send-mail',
      entityId: one.entityId ?? formatId({ prefix: 'job', ms, seq, partition }),
      data: typeof one.data === 'string' ? one.data : JSON.stringify(one.data ?? {}),
    }
  })
}

/** Record the events behind what a partition's trail holds, `size` at a time. */
export async function record(store: Store, events: readonly LogEvent[], { partition = 0, size = 1000 } = {}) {
  for (let at = 0; at < events.length; at += size) {
    const from = await store.trail.readCursor(partition)
    await store.trail.append(toBatch(readEntries(events.slice(at, at + size), randomBytes), { partition, from }))
  }
}

/** An event of the schedule `nightly`. */
export const tick = (type: string, data: unknown, atMs = 0): Said => ({
  ...{ kind: 'schedule', type, data, atMs, queue: 'schedule:nightly', entityId: 'schedule:nightly' },
})

/** A log in which every read model has rows: 10 jobs at a time, ticks with gas, an event for a subscription. */
export function mixedLog(count: number): Said[] {
  return Array.from({ length: count }, (_, index): Said => {
    const round = Math.floor(index / 40)
    const id = `job_19b76e4d8${String(round * 10 + (index % 10)).padStart(8, '0')}000`
    const atMs = round * 7001
    const tickId = `shop/nightly@${round}`
    const of = (type: string, data: unknown) => ({ type, data, atMs, entityId: id, queue: `q${index % 3}` })
    if (index % 40 === 35)
      return tick('schedule.fired', { tickId, scheduledAt: new Date(START_MS + atMs).toISOString() }, atMs)
    if (index % 40 === 36) return tick('gas.charged', { tickId, jobId: id, tokens: 2 }, atMs)
    if (index % 40 === 37) return { ...of('job.enqueued', { event: 'e' }), queue: 'subscription:orders' }
    if (index % 40 < 10) return of('job.enqueued', { data: { n: index } })
    if (index % 40 < 20) return of('job.started', { attempt: 1, epoch: 1, consumer: 'd-1' })
    if (index % 40 < 30) return of('job.succeeded', { attempt: 1, epoch: 1, durationMs: index % 7, status: 200 })
    return of('job.dead_lettered', { attempts: 1, reason: 'http_status' })
  })
}
