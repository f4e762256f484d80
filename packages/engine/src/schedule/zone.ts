/**
 * Offsets of time zones and where they change, from the time-zone database that Node carries (through Intl).
 *
 * A segment is a stretch of time with one offset. Wall-clock times are kept as milliseconds as if they were UTC: the wall
 * time of an instant is the instant plus its offset.
 */
export interface ZoneSegment {
  /** First instant, ms. */
  readonly startMs: number
  /** First instant that is no longer in it. */
  readonly endMs: number
  readonly offsetMs: number
  /** The offset just before the start; equal to `offsetMs` where nothing changes (the search ended there). */
  readonly beforeMs: number
  /** The offset from the end on; equal to `offsetMs` where nothing changes. */
  readonly afterMs: number
}

interface Zone {
  readonly format: Intl.DateTimeFormat
  /** Instants of each year at which the offset changes. */
  readonly changes: Map<number, readonly number[]>
  last?: ZoneSegment
}

const zones = new Map<string, Zone>()
/** No zone has ever changed its offset twice within a day and back, so a look each day finds every change. */
const LOOK_MS = 86_400_000
/** So far from an edge nothing depends on what lies beyond it. */
const EDGE_MS = 2 * 86_400_000

/** The offset of a zone at an instant, ms to add to UTC. */
export function offsetAt(timezone: string, atMs: number): number {
  const text = zoneOf(timezone).format.format(atMs)
  const match = /GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?/.exec(text)
  if (!match?.[1]) return 0
  const [, sign, hours, minutes, seconds = '0'] = match
  const ms = (Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)) * 1000
  return sign === '-' ? -ms : ms
}

/**
 * The segment that an instant is in. Looks one year back and ahead: a start or an end that is no change is at least a
 * year away from the instant, so that no real change is near an edge.
 */
export function segmentAt(timezone: string, atMs: number): ZoneSegment {
  const zone = zoneOf(timezone)
  if (zone.last && atMs >= zone.last.startMs + EDGE_MS && atMs < zone.last.endMs - EDGE_MS) return zone.last
  const year = new Date(atMs).getUTCFullYear()
  const changes = [year - 1, year, year + 1].flatMap((each) => changesOf(timezone, each))
  const startMs = changes.findLast((change) => change <= atMs) ?? Date.UTC(year - 1, 0, 1)
  const endMs = changes.find((change) => change > atMs) ?? Date.UTC(year + 2, 0, 1)
  zone.last = {
    startMs,
    endMs,
    offsetMs: offsetAt(timezone, atMs),
    beforeMs: offsetAt(timezone, startMs - 1),
    afterMs: offsetAt(timezone, endMs),
  }
  return zone.last
}

function changesOf(timezone: string, year: number): readonly number[] {
  const { changes } = zoneOf(timezone)
  const known = changes.get(year)
  if (known) return known
  const found: number[] = []
  const end = Date.UTC(year + 1, 0, 1) - 1
  for (let from = Date.UTC(year, 0, 1) - 1; from < end; ) {
    const to = Math.min(from + LOOK_MS, end)
    if (offsetAt(timezone, from) !== offsetAt(timezone, to)) found.push(changeBetween(timezone, from, to))
    from = to
  }
  changes.set(year, found)
  return found
}

/** The first instant with the later of two offsets. */
function changeBetween(timezone: string, fromMs: number, toMs: number): number {
  const before = offsetAt(timezone, fromMs)
  let [low, high] = [fromMs, toMs]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (offsetAt(timezone, middle) === before) low = middle
    else high = middle
  }
  return high
}

function zoneOf(timezone: string): Zone {
  const known = zones.get(timezone)
  if (known) return known
  const format = new Intl.DateTimeFormat('en-US', { timeZone: timezone, timeZoneName: 'longOffset' })
  const zone: Zone = { format, changes: new Map() }
  zones.set(timezone, zone)
  return zone
}
