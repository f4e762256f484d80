/**
 * The nominal times of a rule: which instants the wall-clock times that a cron expression matches stand for.
 *
 * A wall time that exists once is one instant. One that a clock change leaves out, or repeats, is none, one or two, as the
 * rule's policy says. The result is a set of instants, so that the next one after any time is strictly greater, and the
 * same for every time in between.
 */
import type { Dst } from '@millrace/contracts'
import { checkTimezone } from './check-timezone.ts'
import { type CronFields, checkCron, cronText, type ParsedCron, parseCron } from './cron-expression.ts'
import { type ResolvedDst, resolveDst } from './dst.ts'
import { offsetAt, segmentAt, type ZoneSegment } from './zone.ts'

/** The rule that a schedule's times follow. */
export interface CronRule {
  /** Five fields, a nickname or `@every 90s`; unused where there is an `at`. */
  readonly cron: string
  /** IANA name. */
  readonly timezone: string
  readonly dst?: Dst | undefined
  /** A single time, RFC 3339. */
  readonly at?: string | undefined
  readonly startAt?: string | undefined
  readonly endAt?: string | undefined
}

export interface NominalTime {
  readonly atMs: number
  /** Set where it is not simply the only instant with its wall time. */
  readonly case?: 'gap_end' | 'gap_shift' | 'repeat_first' | 'repeat_last'
  /** The wall time that the expression matched, ms as if it were UTC. */
  readonly wallMs: number
}

/** Wall times that a clock change left out and that were not fired for that. */
export interface SkippedGap {
  /** When the clock changed. */
  readonly atMs: number
  readonly count: number
  /** The first and the last of them, ms as if they were UTC. */
  readonly fromWallMs: number
  readonly toWallMs: number
}

/** The first nominal time strictly after a time, in ms; undefined when there is none any more. */
export function nextNominalTime(rule: CronRule, afterMs: number): number | undefined {
  return nextTime(rule, afterMs)?.atMs
}

/** The same, with what is special about it. */
export function nextTime(rule: CronRule, afterMs: number): NominalTime | undefined {
  const after = rule.startAt === undefined ? afterMs : Math.max(afterMs, Date.parse(rule.startAt) - 1)
  const next = unboundedNext(rule, after)
  return next && rule.endAt !== undefined && next.atMs > Date.parse(rule.endAt) ? undefined : next
}

function unboundedNext(rule: CronRule, afterMs: number): NominalTime | undefined {
  if (rule.at !== undefined) {
    const atMs = Date.parse(rule.at)
    return atMs > afterMs ? { atMs, wallMs: atMs + offsetAt(rule.timezone, atMs) } : undefined
  }
  const planner = plannerOf(rule)
  if (planner.cron.kind === 'every') return nextInterval(rule, planner.cron.everyMs, afterMs)
  // Constant between two nominal times, so one answer serves all questions in between: a thousand schedules of one rule
  // that are due together cost one computation.
  const { memo } = planner
  if (memo && afterMs >= memo.fromMs && afterMs < (memo.next?.atMs ?? Number.POSITIVE_INFINITY)) return memo.next
  const next = nextOfFields(planner.cron, { rule, policy: resolveDst(rule.dst, planner.cron), afterMs })
  planner.memo = { fromMs: afterMs, ...(next && { next }) }
  return next
}

/** Intervals count from `startAt`, or else from the epoch, so that every scheduler comes to the same times. */
function nextInterval({ timezone, startAt }: CronRule, everyMs: number, afterMs: number): NominalTime {
  const anchor = startAt === undefined ? 0 : Date.parse(startAt)
  const atMs = anchor + (Math.floor((afterMs - anchor) / everyMs) + 1) * everyMs
  return { atMs, wallMs: atMs + offsetAt(timezone, atMs) }
}

interface Search {
  readonly rule: Pick<CronRule, 'timezone'>
  readonly policy: ResolvedDst
  readonly afterMs: number
}

/** No clock was ever put forward or back by more than a day; twice that is on the safe side. */
const NEAR_MS = 2 * 86_400_000

function nextOfFields(cron: CronFields, search: Search): NominalTime | undefined {
  const { timezone } = search.rule
  let segment = segmentAt(timezone, search.afterMs)
  for (;;) {
    const found = firstIn(segment, cron, search)
    if (found) return found
    const later = laterSegment(timezone, segment, cron)
    if (!later) return undefined
    segment = later
  }
}

/**
 * The next segment in which, or at whose start, there may be a match; undefined when there is none any more. Years may pass
 * until then: it is found from just before the match rather than through all changes in between.
 */
function laterSegment(timezone: string, { endMs, offsetMs }: ZoneSegment, cron: CronFields): ZoneSegment | undefined {
  const wallMs = cron.nextWall(endMs + offsetMs - NEAR_MS)
  return wallMs === undefined ? undefined : segmentAt(timezone, Math.max(endMs, wallMs - NEAR_MS))
}

function firstIn(segment: ZoneSegment, cron: CronFields, search: Search): NominalTime | undefined {
  const fromGap = firstFromGap(segment, cron, search)
  const direct = firstDirect(segment, cron, search)
  return fromGap && direct ? (fromGap.atMs <= direct.atMs ? fromGap : direct) : (fromGap ?? direct)
}

/** What the wall times that the change at the segment's start left out come to. */
function firstFromGap(
  { startMs, offsetMs, beforeMs }: ZoneSegment,
  cron: CronFields,
  { policy, afterMs }: Search,
): NominalTime | undefined {
  if (offsetMs <= beforeMs || policy.gap === 'skip') return undefined
  const gapEnd = startMs + offsetMs
  const from = policy.gap === 'end' ? startMs + beforeMs - 1 : Math.max(startMs - 1, afterMs) + beforeMs
  const wallMs = cron.nextWall(from)
  if (wallMs === undefined || wallMs >= gapEnd) return undefined
  if (policy.gap === 'end') return startMs > afterMs ? { atMs: startMs, wallMs, case: 'gap_end' } : undefined
  return { atMs: wallMs - beforeMs, wallMs, case: 'gap_shift' }
}

/** The first wall time that exists in the segment, where its policy lets it count here. */
function firstDirect(
  { startMs, endMs, offsetMs, beforeMs, afterMs: offsetAfter }: ZoneSegment,
  cron: CronFields,
  { policy, afterMs }: Search,
): NominalTime | undefined {
  let from = Math.max(afterMs, startMs - 1) + offsetMs
  // Until here the wall shows what it showed before the change.
  const repeatEnd = startMs + beforeMs
  if (policy.overlap === 'first') from = Math.max(from, repeatEnd - 1)
  // From here on it shows what it will show again.
  const repeatedFrom = Math.min(endMs + offsetMs, endMs + offsetAfter)
  const wallMs = cron.nextWall(from)
  if (wallMs === undefined || wallMs >= endMs + offsetMs) return undefined
  if (wallMs >= repeatedFrom && policy.overlap === 'last') return undefined
  const atMs = wallMs - offsetMs
  if (wallMs < repeatEnd) return { atMs, wallMs, case: 'repeat_last' }
  return wallMs >= repeatedFrom ? { atMs, wallMs, case: 'repeat_first' } : { atMs, wallMs }
}

/** The gaps in (after, until] in which wall times of the rule were left out by its policy. */
export function skippedGaps(rule: CronRule, { afterMs, untilMs }: { afterMs: number; untilMs: number }): SkippedGap[] {
  if (rule.at !== undefined) return []
  const { cron } = plannerOf(rule)
  if (cron.kind === 'every' || resolveDst(rule.dst, cron).gap !== 'skip') return []
  const gaps: SkippedGap[] = []
  let segment = laterSegment(rule.timezone, segmentAt(rule.timezone, afterMs), cron)
  for (; segment && segment.startMs <= untilMs; segment = laterSegment(rule.timezone, segment, cron)) {
    const walls = wallsIn(cron, segment.startMs + segment.beforeMs, segment.startMs + segment.offsetMs)
    if (walls.length === 0) continue
    gaps.push({
      atMs: segment.startMs,
      count: walls.length,
      fromWallMs: walls[0] as number,
      toWallMs: walls.at(-1) as number,
    })
  }
  return gaps
}

function wallsIn(cron: CronFields, fromMs: number, endMs: number): number[] {
  const walls: number[] = []
  let wallMs = cron.nextWall(fromMs - 1)
  while (wallMs !== undefined && wallMs < endMs) {
    walls.push(wallMs)
    wallMs = cron.nextWall(wallMs)
  }
  return walls
}

interface Planner {
  readonly cron: ParsedCron
  memo?: { readonly fromMs: number; readonly next?: NominalTime }
}

/** Parsed rules with their last answer; a schedule that was away for long asks thousands of times in a row. */
const planners = new Map<string, Planner>()
const MAX_PLANNERS = 5000

function plannerOf(rule: CronRule): Planner {
  const key = `${rule.cron}\n${rule.timezone}\n${typeof rule.dst === 'object' ? JSON.stringify(rule.dst) : rule.dst}`
  const known = planners.get(key)
  if (known) return known
  if (planners.size >= MAX_PLANNERS) planners.clear()
  const planner: Planner = { cron: parseCron(rule.cron) }
  planners.set(key, planner)
  return planner
}

/**
 * The rule as it is compared and stored: planning again by an equal text changes nothing. What a rule does not say does not
 * stand in it, so that texts of earlier versions stay equal.
 */
export function ruleText({ cron, timezone, dst, at, startAt, endAt }: CronRule): string {
  const extras = { dst: dst === 'vixie' ? undefined : dst, at, startAt, endAt }
  const text = JSON.stringify(extras)
  return `${cronText(cron)} ${timezone}${text === '{}' ? '' : ` ${text}`}`
}

/** The rule that such a text says; undefined where it says none that can be read. */
export function ruleOfText(text: string): CronRule | undefined {
  const match = /^(.+?) ([^ {]+)(?: (\{.*\}))?$/.exec(text)
  if (!match) return undefined
  const [, cron = '', timezone = '', extras = '{}'] = match
  if (checkTimezone(timezone) || (checkCron(cron) && !cron.startsWith('@at '))) return undefined
  return { cron, timezone, ...(JSON.parse(extras) as Partial<CronRule>) }
}
