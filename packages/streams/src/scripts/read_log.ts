import { comparePositions, type EventKind, type LogEvent } from '@millrace/contracts'
import { toLogEvents } from '../log-reader.ts'
import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

/** What is not asked for. It is looked at where it lies, and never sent. */
export interface PassOver {
  readonly kinds: readonly EventKind[]
  readonly types: readonly string[]
}

export interface LogRange {
  readonly after: string
  /** The position up to which, included; without it to the end. */
  readonly to?: string | undefined
  /** So many facts are enough. Entries come whole, so a page may have a hundred more. */
  readonly count: number
  readonly passOver?: PassOver | undefined
}

export interface LogPage {
  readonly events: LogEvent[]
  /** Everything up to here was looked at: the events, and what was passed over behind them. */
  readonly through: string
  /** How many entries end between where it began and there, those that were passed over included. */
  readonly entries: number
  /** Nothing more was there, up to where it was asked for. */
  readonly atEnd: boolean
  /**
   * The log still has an entry at or before where the page began: nothing behind that was trimmed before it was read. Without
   * one something may have been, or there never was anything; `logStart` tells.
   */
  readonly isWithin: boolean
}

type Reply = [through: string, entries: number, atEnd: number, entries: (string | string[])[], isWithin: number]

const script = loadScript('read_log', 'no-writes', ['prelude_log'])

/** The next facts of a log behind a position, which may be in the middle of an entry. Never blocks. */
export async function readLogPage(partition: Partition, { after, to, count, passOver }: LogRange): Promise<LogPage> {
  const { kinds = [], types = [] } = passOver ?? {}
  const args = [after, to ?? '+', count, linesOf(kinds), linesOf(types)]
  const [last, entries, atEnd, found, isWithin] = (await runScript(partition, script, args)) as Reply
  const events: LogEvent[] = []
  for (let at = 0; at < found.length; at += 2) {
    for (const event of toLogEvents(partition.number, found[at] as string, found[at + 1] as string[])) {
      if (at === 0 && comparePositions(event.position, after) <= 0) continue
      if (to === undefined || comparePositions(event.position, to) <= 0) events.push(event)
    }
  }
  const looked = last === '' ? after : last
  const isBeyond = to !== undefined && (atEnd === 1 || comparePositions(looked, to) > 0)
  return {
    ...{ events, through: isBeyond ? to : looked, entries },
    ...{ atEnd: atEnd === 1 || isBeyond, isWithin: isWithin === 1 },
  }
}

/** A line for each name, as `is_among` in prelude_log.lua takes them. */
export function linesOf(names: readonly string[]): string {
  return `\n${names.join('\n')}\n`
}

/** What a subscription asks for by types alone, as `by_type_alone` in prelude_log.lua takes it. No patterns: all that services publish. */
export function askedTypes(patterns: readonly string[]): readonly [types: string, beginnings: string] {
  if (patterns.length === 0 || patterns.includes('*')) return ['', '']
  const beginnings = patterns.filter((type) => type.endsWith('.*')).map((type) => type.slice(0, -1))
  return [linesOf(patterns), beginnings.join('\n')]
}
