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
