import { commonConfig, parseConfig, portConfig } from '@millrace/runtime'
import { z } from 'zod'

const schema = z.object({
  ...commonConfig,
  MILLRACE_SCHEDULER_PORT: portConfig(7402),
  MILLRACE_ENV: z.enum(['production', 'sandbox', 'development']).default('development'),
  MILLRACE_LEDGER_KEEP: z.coerce.number('expected a number').int().min(10).max(100_000).default(1000),
})
export type Config = z.infer<typeof schema>

/** The scheduler's configuration, read once. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Readonly<Config> {
  return parseConfig(schema, env)
}
