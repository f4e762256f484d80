import { commonConfig, parseConfig, portConfig, waitReplicasConfig } from '@millrace/runtime'
import { z } from 'zod'
import { parseRetention, type RetentionRule } from './keeping/retention.ts'

const databaseUrl = z
  .string()
  .regex(/^postgres(?:ql)?:\/\//, 'must be a PostgreSQL URL such as postgres://user:password@host:5432/millrace')

function toRules(text: string, context: z.RefinementCtx<string>): readonly RetentionRule[] {
  try {
    return parseRetention(text)
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
    return z.NEVER
  }
}

/** The environment of the audit app. */
export function readConfig(env: NodeJS.ProcessEnv = process.env) {
  return parseConfig(
    z.object({
      ...commonConfig,
      ...waitReplicasConfig,
      MILLRACE_AUDIT_PORT: portConfig(7403),
      /** PostgreSQL instead of the SQLite file in MILLRACE_HOME. */
      DATABASE_URL: databaseUrl.optional(),
      /** How many of the newest entries stay in each log after they were recorded. */
      MILLRACE_LOG_KEEP: z.coerce.number('expected a number of events').int().min(0).default(10_000),
      /** How many progress streams may be open at once in one process. */
      MILLRACE_AUDIT_STREAMS: z.coerce.number('expected a number of streams').int().min(1).max(100_000).default(1000),
      /** How long after a sweep of the whole trail the next one begins; 0 never. */
      MILLRACE_AUDIT_SWEEP_MS: z.coerce.number('expected milliseconds').int().min(0).default(600_000),
      /** How many days payloads are kept, by event type: `job.*=90,*=1095`. Without it for ever. */
      MILLRACE_AUDIT_RETENTION: z.string().transform(toRules).optional(),
      /** How long after a pruning of payloads the next one begins. */
      MILLRACE_AUDIT_PRUNE_MS: z.coerce.number('expected milliseconds').int().min(1000).default(3_600_000),
    }),
    env,
  )
}
export type AuditConfig = ReturnType<typeof readConfig>
