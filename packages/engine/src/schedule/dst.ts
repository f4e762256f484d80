import type { Dst, DstPolicy, DstPreset } from '@millrace/contracts'
import type { CronFields } from './cron-expression.ts'

/**
 * Daylight saving as other schedulers have it. A fixed-time job in the gap runs at its end (vixie), every job does (cronos),
 * none does (go, aws), or it keeps its minutes in the hour after (shift); in the overlap a fixed-time job runs once, an
 * interval job both times, except where all run twice (go) or none does (aws).
 */
export const DST_POLICIES: Readonly<Record<DstPreset, DstPolicy>> = {
  vixie: { gap: 'auto', overlap: 'auto', interval: 'vixie' },
  cronos: { gap: 'end', overlap: 'auto', interval: 'cronos' },
  go: { gap: 'skip', overlap: 'both', interval: 'vixie' },
  aws: { gap: 'skip', overlap: 'first', interval: 'vixie' },
  shift: { gap: 'shift', overlap: 'auto', interval: 'vixie' },
}

/** A policy for one expression: nothing is left to `auto`. */
export interface ResolvedDst {
  readonly gap: 'skip' | 'end' | 'shift'
  readonly overlap: 'first' | 'last' | 'both'
}

/** What a policy, or a preset by name, means for an expression. */
export function resolveDst(dst: Dst | undefined, fields: CronFields): ResolvedDst {
  const { gap, overlap, interval } = typeof dst === 'object' ? dst : DST_POLICIES[dst ?? 'vixie']
  const repeats = isInterval(fields, interval)
  return {
    gap: gap === 'auto' ? (repeats ? 'skip' : 'end') : gap,
    overlap: overlap === 'auto' ? (repeats ? 'both' : 'first') : overlap,
  }
}

/**
 * An interval job follows the clock; a fixed-time job means a time of day. By Vixie's rule it is an interval when the
 * minute or the hour begins with a star, by Cronos's when one of them has a star, a range or a step.
 */
export function isInterval(
  { minute, hour }: Pick<CronFields, 'minute' | 'hour'>,
  rule: DstPolicy['interval'],
): boolean {
  const repeats = rule === 'vixie' ? /^\*/ : /[*/-]/
  return repeats.test(minute) || repeats.test(hour)
}
