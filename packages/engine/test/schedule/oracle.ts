import type { DstPolicy } from '@millrace/contracts'

/**
 * The nominal times of a year, by looking at each of its minutes: slow, simple, and with nothing in common with the code
 * that it checks (offsets excepted, which Intl alone knows).
 */
export const MINUTE = 60_000
/** How often the offset is asked for; where it differs, each minute in between is looked at. */
const QUARTER = 15

export interface Year {
  readonly fromMs: number
  readonly toMs: number
  /** Minutes at which the offset is another than a minute before. */
  readonly changes: number[]
  /** The wall time of each minute, as if it were UTC. */
  readonly walls: Float64Array
}

export function readYear(timezone: string, year: number): Year {
  const [fromMs, toMs] = [Date.UTC(year, 0, 1), Date.UTC(year + 1, 0, 1)]
  const format = new Intl.DateTimeFormat('sv-SE', { timeZone: timezone, dateStyle: 'short', timeStyle: 'medium' })
  const offset = (at: number) => Date.parse(`${format.format(at).replace(' ', 'T')}Z`) - at
  const walls = new Float64Array((toMs - fromMs) / MINUTE)
  const changes: number[] = []
  for (let index = 0; index < walls.length; index += QUARTER) {
    const at = fromMs + index * MINUTE
    const [before, after] = [offset(at), offset(at + QUARTER * MINUTE)]
    for (let minute = 0; minute < QUARTER; minute++) {
      const now = at + minute * MINUTE
      walls[index + minute] = now + (before === after ? before : offset(now))
      const changed = index + minute > 0 && (walls[index + minute] as number) - (walls[index + minute - 1] as number)
      if (changed !== false && changed !== MINUTE) changes.push(now)
    }
  }
  return { fromMs, toMs, changes, walls }
}

/** All nominal times in the year, in order. */
export function bruteForce(
  year: Year,
  expression: string,
  policy: { gap: DstPolicy['gap']; overlap: DstPolicy['overlap'] },
): number[] {
  const matches = matcherOf(expression)
  const [minute, hour] = expression.split(' ') as [string, string]
  const interval = minute.startsWith('*') || hour.startsWith('*')
  const gap = policy.gap === 'auto' ? (interval ? 'skip' : 'end') : policy.gap
  const overlap = policy.overlap === 'auto' ? (interval ? 'both' : 'first') : policy.overlap
  const times = new Set<number>()
  const seen = new Map<number, number>()
  for (let index = 0; index < year.walls.length; index++) {
    const [at, wall] = [year.fromMs + index * MINUTE, year.walls[index] as number]
    const before = index === 0 ? wall - MINUTE : (year.walls[index - 1] as number)
    for (let missing = before + MINUTE; missing < wall; missing += MINUTE) {
      if (!matches(missing) || gap === 'skip') continue
      times.add(gap === 'end' ? at : at + missing - before - MINUTE)
    }
    if (!matches(wall)) continue
    const first = seen.get(wall)
    seen.set(wall, at)
    if (first === undefined) times.add(at)
    else if (overlap === 'both') times.add(at)
    else if (overlap === 'last') {
      times.delete(first)
      times.add(at)
    }
  }
  return [...times].sort((a, b) => a - b)
}

/** Whether a wall time matches; the calendar is asked once a day, because asking it is slow. */
function matcherOf(expression: string): (wallMs: number) => boolean {
  const [minute, hour, day, month, weekday] = expression.split(' ') as [string, string, string, string, string]
  const minutes = valuesOf(minute, 0, 59)
  const hours = valuesOf(hour, 0, 23)
  const days = valuesOf(day, 1, 31)
  const months = valuesOf(month, 1, 12)
  const weekdays = valuesOf(weekday, 0, 7)
  if (weekdays.has(7)) weekdays.add(0)
  const both = day.startsWith('*') || weekday.startsWith('*')
  const onDay = new Map<number, boolean>()
  const matchesDay = (dayNumber: number) => {
    const wall = new Date(dayNumber * 1440 * MINUTE)
    const [byDay, byWeekday] = [days.has(wall.getUTCDate()), weekdays.has(wall.getUTCDay())]
    return months.has(wall.getUTCMonth() + 1) && (both ? byDay && byWeekday : byDay || byWeekday)
  }
  return (wallMs) => {
    const minuteNumber = wallMs / MINUTE
    if (!minutes.has(minuteNumber % 60) || !hours.has(Math.floor(minuteNumber / 60) % 24)) return false
    const dayNumber = Math.floor(minuteNumber / 1440)
    const known = onDay.get(dayNumber) ?? matchesDay(dayNumber)
    onDay.set(dayNumber, known)
    return known
  }
}

function valuesOf(field: string, min: number, max: number): Set<number> {
  const values = new Set<number>()
  for (const part of field.split(',')) {
    const [range, step = '1'] = part.split('/') as [string, string?]
    const [from, to] = range === '*' ? [min, max] : (range.split('-').map(Number) as [number, number?])
    for (let value = from; value <= (to ?? from); value += Number(step)) values.add(value)
  }
  return values
}
