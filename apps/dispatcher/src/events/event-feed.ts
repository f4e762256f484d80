import type { LogEvent } from '@millrace/contracts'
import { eventIdOf, fitsTypes, type LoggedEvent, mayHear, type Positions, toCloudEvent } from '@millrace/engine'
import { type Partition, readLogAfter } from '@millrace/streams'
import type { Grants } from '../router/subscription-view.ts'
import { formatCursor } from './event-cursor.ts'

export interface FedEvent extends LoggedEvent {
  readonly id: string
  /** The reader's place behind this event. */
  readonly cursor: string
}

export interface Page {
  readonly events: readonly FedEvent[]
  readonly positions: Positions
  /** Nothing more was in the logs. */
  readonly atEnd: boolean
}

export interface Asked {
  readonly types: readonly string[]
  /** Who reads, for what the platform says of namespaces. */
  readonly namespace: string
  readonly limit: number
}

const PAGE = 500
/** One look passes over at most so many entries of others, so that it ends. */
const MAX_LOOKED = 5000

/** The next events of all logs that somebody asks for, log after log; those of one key are in their order. */
export async function readPage(
  sources: readonly Partition[],
  from: Positions,
  { types, namespace, limit, grants }: Asked & { grants: Grants },
): Promise<Page> {
  const isForUs = (event: LogEvent) =>
    fitsTypes(types, event.type) &&
    (event.kind === 'event' || (event.kind !== 'audit' && mayHear(namespace, event.namespace, grants)))
  const events: FedEvent[] = []
  let positions = from
  let looked = 0
  for (const source of sources) {
    for (;;) {
      const entries = await readLogAfter(source, { after: positions[String(source.number)] ?? '0-0', count: PAGE })
      for (const entry of entries) {
        positions = { ...positions, [String(source.number)]: entry.position }
        looked++
        if (!isForUs(entry)) continue
        events.push({ ...toCloudEvent(entry), id: eventIdOf(entry), cursor: formatCursor(positions) })
        if (events.length >= limit) return { events, positions, atEnd: false }
      }
      if (entries.length < PAGE) break
      if (looked >= MAX_LOOKED) return { events, positions, atEnd: false }
    }
  }
  return { events, positions, atEnd: true }
}
