import type { LogEvent } from '@millrace/contracts'
import {
  eventIdOf,
  indexSubscriptions,
  type LoggedEvent,
  mayHear,
  type Positions,
  toCloudEvent,
  unaskedTypes,
} from '@millrace/engine'
import { type Partition, type PassOver, readLogPage } from '@millrace/streams'
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
/** One look passes over at most so many entries and events of others, so that it ends. */
const MAX_LOOKED = 5000

/** The next events of all logs that somebody asks for, log after log; those of one key are in their order. */
export async function readPage(
  sources: readonly Partition[],
  from: Positions,
  { types, namespace, limit, grants }: Asked & { grants: Grants },
): Promise<Page> {
  const index = indexSubscriptions([{ types }])
  const passOver: PassOver = { kinds: ['audit'], types: unaskedTypes(index) }
  const isForUs = (event: LogEvent) =>
    index.candidates(event.type).size > 0 &&
    (event.kind === 'event' || (event.kind !== 'audit' && mayHear(namespace, event.namespace, grants)))
  const events: FedEvent[] = []
  let positions = from
  let looked = 0
  for (const source of sources) {
    for (;;) {
      const after = positions[String(source.number)] ?? '0-0'
      const page = await readLogPage(source, { after, count: PAGE, passOver })
      for (const event of page.events) {
        if (!isForUs(event)) continue
        positions = { ...positions, [String(source.number)]: event.position }
        const { attributes, json } = toCloudEvent(event)
        events.push({ attributes, json, id: eventIdOf(event), cursor: formatCursor(positions) })
        if (events.length >= limit) return { events, positions, atEnd: false }
      }
      positions = { ...positions, [String(source.number)]: page.through }
      looked += page.entries + page.events.length
      if (page.atEnd) break
      if (looked >= MAX_LOOKED) return { events, positions, atEnd: false }
    }
  }
  return { events, positions, atEnd: true }
}
