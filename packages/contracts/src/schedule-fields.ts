import { z } from 'zod'

/** What the fields of a schedule may say about time, beside its cron expression. */

/** Named rules for daylight saving, after the schedulers that have them. */
export const DST_PRESETS = ['vixie', 'cronos', 'go', 'aws', 'shift'] as const
export type DstPreset = (typeof DST_PRESETS)[number]

const GAPS = ['skip', 'end', 'shift', 'auto'] as const
const OVERLAPS = ['first', 'last', 'both', 'auto'] as const
const INTERVALS = ['vixie', 'cronos'] as const

export const dstPolicySchema = z.strictObject({
  gap: z
    .enum(GAPS)
    .default('auto')
    .describe(
      'a wall-clock time that is left out: skip it, fire at the end of the gap, or as much later as the clock jumps',
    ),
  overlap: z
    .enum(OVERLAPS)
    .default('auto')
    .describe('a wall-clock time that comes twice: the first, the last, or both'),
  interval: z.enum(INTERVALS).default('vixie').describe('which expressions count as intervals for auto'),
})
/** What is done with wall-clock times that do not exist, or exist twice. */
export type DstPolicy = z.infer<typeof dstPolicySchema>

export const dstSchema = z.union([z.enum(DST_PRESETS), dstPolicySchema], {
  error: ({ input }) =>
    typeof input === 'string'
      ? `must be one of ${DST_PRESETS.join(', ')}, or an object with gap and overlap`
      : `must be a preset (${DST_PRESETS.join(', ')}) or {gap: ${GAPS.join('|')}, overlap: ${OVERLAPS.join('|')}}`,
})
export type Dst = z.infer<typeof dstSchema>

export const RUN_OVERLAPS = ['allow', 'skip', 'queue', 'cancel'] as const
/** What a tick does while the run before it has not ended. */
export type RunOverlap = (typeof RUN_OVERLAPS)[number]

export const CATCH_UP_TAKES = ['latest', 'all', 'none'] as const

/** A schedule whose scheduler was away longer than a month has other worries than its ticks. */
const MAX_WINDOW_MS = 31 * 86_400_000
const WINDOW_TEXT = 'must be milliseconds or a duration such as 10m, 6h or 1d; at most 31d'

const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

const windowSchema = z
  .union([z.int(), z.string()], { error: WINDOW_TEXT })
  .refine((window) => typeof window === 'number' || /^\d{1,9}(ms|s|m|h|d)$/.test(window), {
    error: WINDOW_TEXT,
    abort: true,
  })
  .refine((window) => windowMs(window) >= 0 && windowMs(window) <= MAX_WINDOW_MS, WINDOW_TEXT)

/** A catch-up window, given as ms or as `10m`, in ms. */
export function windowMs(window: number | string): number {
  if (typeof window === 'number') return window
  const unit = /[a-z]+$/.exec(window)?.[0] as keyof typeof DURATION_UNITS
  return Number.parseInt(window, 10) * DURATION_UNITS[unit]
}

export const catchUpSchema = z.strictObject({
  window: windowSchema.default('10m').describe('how late a nominal time may be fired'),
  take: z.enum(CATCH_UP_TAKES).default('latest').describe('which of those inside the window'),
  max: z.int().min(1).max(1000).default(100).describe('all only: no more than so many, the newest'),
})
export type CatchUp = z.infer<typeof catchUpSchema>

const instantSchema = z.iso.datetime({
  offset: true,
  error: 'must be a time with an offset or Z, such as 2026-12-24T18:00:00Z',
})

/** As much as a tick carries without being a payload store. */
const MAX_PAYLOAD_CHARACTERS = 65_536

/** What a schedule says besides its cron expression and zone. All optional, all with the meaning of earlier versions. */
export const scheduleFields = {
  at: instantSchema.optional().describe('instead of cron: a single time'),
  dst: dstSchema.optional().describe('daylight saving; vixie without it'),
  catchUp: catchUpSchema.optional(),
  overlap: z.enum(RUN_OVERLAPS).optional().describe('when the last run has not ended; allow without it'),
  jitterMs: z.int().min(0).max(86_400_000).optional().describe('fires up to so much later, never past the next time'),
  startAt: instantSchema.optional().describe('no nominal time before'),
  endAt: instantSchema.optional().describe('no nominal time after'),
  payload: z
    .json()
    .refine((payload) => JSON.stringify(payload).length <= MAX_PAYLOAD_CHARACTERS, 'must not be longer than 64 KiB')
    .optional()
    .describe('any JSON; part of what is delivered'),
  paused: z.boolean().optional().describe('declared, and not fired'),
}

/** A schedule as the registry keeps it. */
export const scheduleDefinitionSchema = z.strictObject({
  cron: z.string().describe('"@at <time>" for a single time'),
  timezone: z.string(),
  ...scheduleFields,
})
export type ScheduleDefinition = z.infer<typeof scheduleDefinitionSchema>
