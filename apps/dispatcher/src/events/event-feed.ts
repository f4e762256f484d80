import { comparePositions, type LogEvent } from '@millrace/contracts'
import {
  eventIdOf,
  indexSubscriptions,
  type LoggedEvent,
  mayHear,
  type Positions,
  timeOf,
  toCloudEvent,
  unaskedTypes,
} from '@millrace/engine'
import { type LogPage, logStart, type Partition, type PassOver, readLogPage } from '@millrace/streams'
import type { Grants } from '../router/subscription-view.ts'
import { formatCursor } from './event-cursor.ts'
import { missingBehind } from './past-log.ts'

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
  /** The reader's place was before the beginning of a log: it may have missed what happened in between. */
  readonly missed?: Missed
}

/** A span of time in which events were trimmed away before they were read; they are in the audit trail. */
export interface Missed {
  readonly since: string
  /** Not included. */
  readonly until: string
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
  let missed: Missed | undefined
  const pageTo = (atEnd: boolean): Page => ({ events, positions, atEnd, ...(missed && { missed }) })
  let looked = 0
  for (const source of sources) {
    for (;;) {
      const after = positions[String(source.number)] ?? '0-0'
      const page = await readLogPage(source, { after, count: PAGE, passOver })
      const gap = await gapBefore(source, after, page)
      if (gap) missed = bothOf(missed, gap.missed)
      for (const event of page.events) {
        if (!isForUs(event)) continue
        positions = { ...positions, [String(source.number)]: event.position }
        const { attributes, json } = toCloudEvent(event)
        events.push({ attributes, json, id: eventIdOf(event), cursor: formatCursor(positions) })
        if (events.length >= limit) return pageTo(false)
      }
      const through = gap && comparePositions(page.through, gap.before) < 0 ? gap.before : page.through
      positions = { ...positions, [String(source.number)]: through }
      looked += page.entries + page.events.length
      if (page.atEnd) break
      if (looked >= MAX_LOOKED) return pageTo(false)
    }
  }
  return pageTo(true)
}

/** What was trimmed away between a reader's place and the page that it got. */
async function gapBefore(
  source: Partition,
  after: string,
  { isWithin }: LogPage,
): Promise<{ before: string; missed: Missed } | undefined> {
  // So it is for whoever keeps up, and costs nothing more.
  if (isWithin) return undefined
  const start = missingBehind(await logStart(source), after)
  if (!start) return undefined
  const missed = { since: isoOf(timeOf(after)), until: isoOf(timeOf(start.before) + 1) }
  return { before: start.before, missed }
}

function bothOf(one: Missed | undefined, other: Missed): Missed {
  if (!one) return other
  return {
    since: one.since < other.since ? one.since : other.since,
    until: one.until > other.until ? one.until : other.until,
  }
}

function isoOf(ms: number): string {
  return new Date(ms).toISOString()
}
