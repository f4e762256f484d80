import { comparePositions, type LogEvent } from '@millrace/contracts'
import { type LogRange, type LogStart, logStart, type Partition, readLogPage } from '@millrace/streams'
import type { History } from './history.ts'

export interface PastPage {
  readonly events: readonly LogEvent[]
  /** Everything up to here was looked at. */
  readonly through: string
  /** Nothing more was in the log, up to where it was asked for. */
  readonly atEnd: boolean
  /** Facts whose payload was erased: they are left out. */
  readonly erased: readonly Erased[]
}

export interface Erased {
  readonly type: string
  readonly position: string
}

export interface PastRange extends LogRange {
  /** Only what services publish is asked for; of a log everything comes nevertheless. */
  readonly publishedOnly: boolean
}

/**
 * The next facts behind a position: from the log, or, where it has been trimmed, from the audit store.
 *
 * Trimming takes entries from the front only, and never one that the audit app has not recorded. So up to the front the
 * store has everything, and behind it the log has. When the front passes over a position while the log is being read from
 * there, that is read again, by then from the store: nothing is missing, and nothing comes twice.
 */
export async function readPast(history: History, source: Partition, range: PastRange): Promise<PastPage> {
  let start = await logStart(source)
  for (;;) {
    const missing = missingBehind(start, range.after)
    if (missing) return fromHistory(history, source, { ...range, start: missing })
    const page = await fromLog(source, range)
    start = await logStart(source)
    if (!missingBehind(start, range.after)) return page
  }
}

/** Where the log begins, when that is beyond a position: facts behind it may be gone. */
export function missingBehind(start: LogStart | undefined, after: string): LogStart | undefined {
  return start && comparePositions(after, start.before) < 0 ? start : undefined
}

async function fromLog(source: Partition, range: PastRange): Promise<PastPage> {
  const { events, through, atEnd } = await readLogPage(source, range)
  return { events, through, atEnd, erased: [] }
}

async function fromHistory(
  history: History,
  source: Partition,
  { after, to, publishedOnly, start }: PastRange & { start: LogStart },
): Promise<PastPage> {
  const isWhole = to !== undefined && comparePositions(to, start.before) <= 0
  const end = isWhole ? to : start.before
  const page = await history.read({ partition: source.number, after, to: end, publishedOnly, start })
  const events = page.events.flatMap(({ data, ...event }): LogEvent[] =>
    data === null ? [] : [{ ...event, data, partition: source.number, endsEntry: true }],
  )
  return {
    events,
    through: page.through,
    atEnd: isWhole && page.through === end,
    erased: page.events.filter(({ data }) => data === null),
  }
}
