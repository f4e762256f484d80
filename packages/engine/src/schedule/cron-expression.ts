import { Cron } from 'croner'

/**
 * A cron expression as arithmetic on wall-clock time, without any zone: daylight saving is not decided here. Wall times
 * are milliseconds as if they were UTC.
 */
export interface CronFields {
  readonly kind: 'fields'
  readonly minute: string
  readonly hour: string
  /** The five fields, nicknames spelled out. */
  readonly text: string
  /** The first wall time strictly after another that the fields match; undefined when there is none any more. */
  nextWall(afterWallMs: number): number | undefined
}

/** `@every 90s`: so much time from one nominal time to the next, whatever the clocks on the wall do. */
export interface CronInterval {
  readonly kind: 'every'
  readonly everyMs: number
}

export type ParsedCron = CronFields | CronInterval

const NICKNAMES: Readonly<Record<string, string>> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
}

const FIELDS = [
  { name: 'minute', takes: '0 to 59', example: '*/15' },
  { name: 'hour', takes: '0 to 23', example: '9-17' },
  { name: 'day of the month', takes: '1 to 31, L (the last) or 15W (the weekday nearest to the 15th)', example: '1' },
  { name: 'month', takes: '1 to 12 or JAN to DEC', example: 'JAN-MAR' },
  {
    name: 'weekday',
    takes: '0 to 7 (0 and 7 are Sunday), SUN to SAT, 5#3 (the third Friday) or 5L (the last Friday)',
    example: 'MON-FRI',
  },
] as const

/** A second is the shortest: anything that has to happen more often is a loop of its own, not a schedule. */
const MIN_EVERY_MS = 1000
const MAX_EVERY_MS = 366 * 86_400_000

/** What is wrong with a cron expression, with the field and the fix; undefined when nothing is. */
export function checkCron(expression: string): string | undefined {
  const text = expression.trim()
  if (text.startsWith('@every')) return checkEvery(text)
  if (text.startsWith('@')) {
    if (text in NICKNAMES) return undefined
    return `is not a known nickname; known are ${Object.keys(NICKNAMES).join(', ')}, and @every with a duration such as @every 90s`
  }
  const parts = text.split(/\s+/)
  if (parts.length === 6) {
    return `has 6 parts; five are expected (minute hour day month weekday). Seconds are not supported: leave out the first part, "${parts.slice(1).join(' ')}"`
  }
  if (parts.length !== 5) {
    return `has ${parts.length} part${parts.length === 1 ? '' : 's'}; five are expected: minute hour day month weekday, for example "0 2 * * *"`
  }
  return parts.map((part, index) => checkField(part, index)).find((fault) => fault !== undefined)
}

function checkField(part: string, index: number): string | undefined {
  const { name, takes, example } = FIELDS[index] as (typeof FIELDS)[number]
  const alone = ['*', '*', '*', '*', '*'].with(index, part).join(' ')
  const fault = part === '?' ? 'Use * for any value' : faultOf(alone)
  return fault && `is not possible: the ${name} "${part}" (${fault}). It takes ${takes}, for example ${example}`
}

function faultOf(pattern: string): string | undefined {
  try {
    wallCron(pattern)
    return undefined
  } catch (error) {
    // The library counts days and months from 0 in its words, which would only mislead.
    const message = (error as Error).message.replace(/^CronPattern: /, '').replace(/^Syntax error, /, '')
    return message.startsWith('Invalid value') ? 'out of range' : message.replace(/\.$/, '')
  }
}

function checkEvery(text: string): string | undefined {
  const everyMs = parseDuration(text.slice('@every'.length).trim())
  if (everyMs === undefined) return 'needs a duration such as @every 90s, @every 15m or @every 1h30m'
  if (everyMs < MIN_EVERY_MS) return 'is too often; one second is the shortest: @every 1s'
  return everyMs > MAX_EVERY_MS ? 'is too seldom; a year is the longest. Use at: for a single time' : undefined
}

/** `1d`, `1h30m`, `90s`, `500ms` as ms; undefined when it is no duration. */
export function parseDuration(text: string): number | undefined {
  const match = /^(?:(\d{1,9})d)?(?:(\d{1,9})h)?(?:(\d{1,9})m(?!s))?(?:(\d{1,9})s)?(?:(\d{1,9})ms)?$/.exec(text)
  if (!match || text === '') return undefined
  const [days, hours, minutes, seconds, ms] = match.slice(1).map((part) => Number(part ?? 0)) as [
    ...[number, number, number, number, number],
  ]
  return (((days * 24 + hours) * 60 + minutes) * 60 + seconds) * 1000 + ms
}

/** An expression with single spaces: however it is spaced, it says the same. */
export function cronText(expression: string): string {
  return expression.trim().split(/\s+/).join(' ')
}

/** Parse an expression that `checkCron` accepts. */
export function parseCron(expression: string): ParsedCron {
  const trimmed = expression.trim()
  if (trimmed.startsWith('@every'))
    return { kind: 'every', everyMs: parseDuration(trimmed.slice('@every'.length).trim()) as number }
  const text = cronText(NICKNAMES[trimmed] ?? trimmed)
  const [minute, hour] = text.split(' ') as [string, string]
  const cron = wallCron(text)
  const find = (after: number) => cron.nextRun(new Date(after))?.getTime()
  return { kind: 'fields', minute, hour, text, nextWall: rememberingLast(find) }
}

/**
 * The next match is the same for every time up to it. What is asked about one nominal time is mostly asked several times over,
 * and for a fifth Monday of a February the library looks through decades.
 */
function rememberingLast(find: (after: number) => number | undefined): (after: number) => number | undefined {
  let last: { from: number; next: number | undefined } | undefined
  return (after) => {
    if (last && after >= last.from && after < (last.next ?? Number.POSITIVE_INFINITY)) return last.next
    const next = find(after)
    last = { from: after, next }
    return next
  }
}

// Day of the month OR weekday, as Vixie cron has it; AND as soon as one of the two begins with a star. So `*/2` in one
// of them narrows the other, where `1-31/2` widens it.
function wallCron(text: string): Cron {
  const [, , day = '*', , weekday = '*'] = text.split(' ')
  const domAndDow = day.startsWith('*') || weekday.startsWith('*')
  return new Cron(text, { mode: '5-part', utcOffset: 0, paused: true, domAndDow })
}
