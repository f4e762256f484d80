import { z } from 'zod'
import { bySchema } from './by.ts'
import { idempotencyKeySchema, timeSchema } from './jobs-api.ts'
import { REQUEST_LIMITS } from './limits.ts'
import { DST_PRESETS, dstSchema, RUN_OVERLAPS } from './schedule-fields.ts'

export const LEDGER_STATES = ['fired', 'late', 'skipped', 'missed'] as const
export const LEDGER_REASONS = ['overlap', 'window', 'paused', 'gap', 'take', 'changed'] as const

/** `GET /schedules`. */
export const scheduleViewSchema = z.object({
  namespace: z.string(),
  name: z.string(),
  cron: z.string(),
  timezone: z.string(),
  reading: z.string().describe('the rule in plain words'),
  endpoint: z.string(),
  description: z.string().optional(),
  overlap: z.enum(RUN_OVERLAPS),
  nextAt: z.iso.datetime().optional().describe('next nominal time; without it the schedule never fires again'),
  tzdata: z.string().optional().describe('the time-zone database that it was computed with'),
  lastSuccessAt: z.iso.datetime().optional(),
  paused: z
    .object({ who: z.string(), why: z.string().optional(), at: z.iso.datetime().optional() })
    .optional()
    .describe('by whom; "manifest" where it is declared'),
})
export type ScheduleView = z.infer<typeof scheduleViewSchema>

/** Fired within this after its time a tick is on time, later it is `late`: what a look at the plan and a busy machine take. */
export const ON_TIME_MS = 1000

export const ledgerQuerySchema = z.strictObject({
  state: z.enum(LEDGER_STATES).optional(),
  reason: z.enum(LEDGER_REASONS).optional(),
  limit: z.coerce.number().int().min(1).max(REQUEST_LIMITS.pageItems.value).default(100),
  cursor: z.string().max(300).optional(),
})

/** What became of one nominal time, or of a stretch of them. */
export const ledgerEntrySchema = z.object({
  at: z.iso.datetime().describe('nominal time; of a stretch the first'),
  kind: z.enum(['planned', 'manual', 'backfill']),
  state: z.enum(LEDGER_STATES),
  reason: z.enum(LEDGER_REASONS).optional(),
  lateMs: z.number().optional().describe('fired so much after its time'),
  until: z.iso.datetime().optional().describe('of a stretch the last nominal time'),
  count: z.int().optional().describe('nominal times of the stretch; 2000 means at least that many'),
  fromLocal: z.string().optional().describe('of a gap: the first wall-clock time that was left out'),
  toLocal: z.string().optional(),
  tickId: z.string().optional(),
  jobId: z.string().optional(),
  firedAt: z.iso.datetime().optional(),
  outcome: z.enum(['succeeded', 'dead', 'cancelled']).optional().describe('nothing while the run goes on'),
  endedAt: z.iso.datetime().optional(),
  gas: z.number().optional().describe('tokens charged'),
  tzdata: z.string().optional(),
  who: z.string().optional(),
  why: z.string().optional(),
})
export type LedgerEntry = z.infer<typeof ledgerEntrySchema>

/** `POST /schedules/{ns}/{name}/trigger`. */
export const triggerRequestSchema = z.strictObject({
  ...bySchema,
  idempotencyKey: idempotencyKeySchema.optional().describe('the same key within 24 h is the same run'),
})

/** `POST /schedules/{ns}/{name}/pause|resume`. */
export const schedulePauseSchema = z.strictObject(bySchema)

/** `POST /schedules/preview`. */
export const previewRequestSchema = z.strictObject({
  cron: z.string().max(200),
  timezone: z.string().max(64).default('UTC'),
  dst: dstSchema.optional(),
  from: timeSchema.optional().describe('times after this; now without it'),
  count: z.int().min(1).max(100).default(10),
})

const previewTimeSchema = z.object({
  at: z.iso.datetime(),
  local: z.string().describe('what the clock on the wall shows, 2026-03-08T03:00'),
  offset: z.string().describe('-06:00'),
  note: z.string().optional().describe('what a clock change near it does'),
})

export const previewSchema = z.object({
  times: z.array(previewTimeSchema),
  description: z.string(),
  presets: z.record(z.enum(DST_PRESETS), z.array(previewTimeSchema)),
})

const MAX_BACKFILL_RATE = 100

/** `POST /schedules/{ns}/{name}/backfills`: what is made good has somebody's name on it. */
export const backfillRequestSchema = z
  .strictObject({
    from: timeSchema.describe('nominal times from this one on'),
    to: timeSchema.describe('up to this one, which has passed'),
    ratePerSecond: z.number().min(0.01).max(MAX_BACKFILL_RATE).default(1),
    again: z.boolean().default(false).describe('also those that have fired'),
    backfillId: z
      .string()
      .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, 'must be 1 to 100 letters, digits, dots, dashes or underscores')
      .optional()
      .describe('asked again with the same id, it answers how far it is and fires nothing twice'),
    ...bySchema,
  })
  .refine(({ from, to }) => Date.parse(from) <= Date.parse(to), { path: ['to'], error: 'must not be before from' })
export type BackfillRequest = z.infer<typeof backfillRequestSchema>

export const BACKFILL_STATES = ['running', 'stopped', 'finished'] as const

export const backfillSchema = z.object({
  id: z.string(),
  state: z.enum(BACKFILL_STATES),
  namespace: z.string(),
  schedule: z.string(),
  from: z.iso.datetime(),
  to: z.iso.datetime(),
  ratePerSecond: z.number(),
  again: z.boolean(),
  fired: z.int(),
  passed: z.int().describe('had fired before'),
  startedAt: z.iso.datetime(),
  endedAt: z.iso.datetime().optional(),
  who: z.string(),
  why: z.string().optional(),
  stopped: z.object({ who: z.string(), why: z.string().optional() }).optional(),
})
export type Backfill = z.infer<typeof backfillSchema>
