import { z } from 'zod'
import { tracingConfig } from './tracing-config.ts'

/** The configuration as read is wrong; the message lists every mistake at once, with the variable and the fix. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
}

/**
 * Parse environment variables with a schema whose keys are the variables' names. All mistakes are reported together; the
 * result is frozen. An empty variable counts as unset, as shells and compose files produce them.
 */
export function parseConfig<Shape extends z.ZodRawShape>(
  schema: z.ZodObject<Shape>,
  env: NodeJS.ProcessEnv,
): Readonly<z.infer<z.ZodObject<Shape>>> {
  const known = Object.keys(schema.shape)
  const present = Object.fromEntries(known.flatMap((name) => (env[name] ? [[name, env[name]]] : [])))
  const result = schema.safeParse(present)
  if (result.success) return Object.freeze(result.data)
  const lines = result.error.issues.map((issue) => {
    const name = String(issue.path[0])
    return `  ${name}: ${issue.message} (got ${present[name] === undefined ? 'nothing' : JSON.stringify(present[name])})`
  })
  throw new ConfigError(`The configuration has ${lines.length === 1 ? 'a mistake' : 'mistakes'}:\n${lines.join('\n')}`)
}

/** The variables that every app reads. */
export const commonConfig = {
  REDIS_URL: z
    .string()
    .regex(/^(rediss?|unix):\/\//, 'expected redis://, rediss:// or unix:///path/to.sock')
    .default('redis://127.0.0.1:6379'),
  MILLRACE_PARTITIONS: z.coerce.number('expected a number').int().min(1).max(4094).default(1),
  MILLRACE_HOST: z.string().default('127.0.0.1'),
  MILLRACE_HOME: z.string().default('.millrace'),
  MILLRACE_METRICS_NAMES: z.coerce.number('expected a number of names').int().min(1).max(10_000).default(200),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  ...tracingConfig,
} as const

export function portConfig(fallback: number) {
  return z.coerce.number('expected a port number').int().min(0).max(65_535).default(fallback)
}
