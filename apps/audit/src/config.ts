import { commonConfig, parseConfig, portConfig } from '@millrace/runtime'
import { z } from 'zod'

const databaseUrl = z
  .string()
  .regex(/^postgres(?:ql)?:\/\//, 'must be a PostgreSQL URL such as postgres://user:password@host:5432/millrace')

/** The environment of the audit app. */
export function readConfig(env: NodeJS.ProcessEnv = process.env) {
  return parseConfig(
    z.object({
      ...commonConfig,
      MILLRACE_AUDIT_PORT: portConfig(7403),
      /** PostgreSQL instead of the SQLite file in MILLRACE_HOME. */
      DATABASE_URL: databaseUrl.optional(),
      /** How many of the newest entries stay in each log after they were recorded. */
      MILLRACE_LOG_KEEP: z.coerce.number('expected a number of events').int().min(0).default(10_000),
      /** How many progress streams may be open at once in one process. */
      MILLRACE_AUDIT_STREAMS: z.coerce.number('expected a number of streams').int().min(1).max(100_000).default(1000),
    }),
    env,
  )
}
export type AuditConfig = ReturnType<typeof readConfig>
