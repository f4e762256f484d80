import { REQUEST_LIMITS, STORE_LIMITS } from '@millrace/contracts/limits'
import { readRedisUrl } from '@millrace/contracts/redis-url'
import { z } from 'zod'
import { tracingConfig } from './tracing-config.ts'
import { trustedProxiesConfig } from './trusted-proxies.ts'

// A door of its own: the command reads its variables and is done before the rest of this package would be loaded.
export { isLoopback } from './host-check.ts'
export { VERSION } from './version.ts'

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
    return `  ${name}: ${issue.message} (got ${shown(name, present[name])})`
  })
  throw new ConfigError(`The configuration has ${lines.length === 1 ? 'a mistake' : 'mistakes'}:\n${lines.join('\n')}`)
}

/** What was got, for the person who corrects it. A secret that is too short is still one, and messages end up in logs. */
function shown(name: string, value: string | undefined): string {
  if (value === undefined) return 'nothing'
  if (/KEY|SECRET|PASSWORD|TOKEN/.test(name)) return `${value.length} characters`
  return JSON.stringify(value.replace(/(:\/\/[^:@/]*:)[^@]*@/, '$1…@').replace(/(_password=)[^&]*/, '$1…'))
}

/** The variables that every app reads. */
export const commonConfig = {
  REDIS_URL: z
    .string()
    .superRefine((url, context) => {
      const address = readRedisUrl(url)
      if (address.kind === 'refused') context.addIssue(address.reason)
    })
    .default('redis://127.0.0.1:6379'),
  MILLRACE_PARTITIONS: z.coerce.number('expected a number').int().min(1).max(4094).default(1),
  MILLRACE_HOST: z.string().default('127.0.0.1'),
  MILLRACE_HOME: z.string().default('.millrace'),
  MILLRACE_METRICS_NAMES: z.coerce
    .number('expected a number of names')
    .int()
    .min(1)
    .max(10_000)
    .default(STORE_LIMITS.metricNames.value),
  MILLRACE_TRUSTED_PROXIES: trustedProxiesConfig,
  MILLRACE_MAX_CONNECTIONS: z.coerce
    .number('expected a number of connections')
    .int()
    .min(10)
    .max(1_000_000)
    .default(REQUEST_LIMITS.connections.value),
  MILLRACE_RATE_LIMIT: z.coerce
    .number('expected a number of requests a minute')
    .int()
    .min(1)
    .max(1_000_000_000)
    .default(REQUEST_LIMITS.keyRate.value),
  MILLRACE_ADMIN_KEY: z
    .string()
    .min(32, 'expected 32 characters or more, for example from `openssl rand -hex 32`')
    .optional(),
  MILLRACE_METRICS_KEY: z
    .string()
    .min(32, 'expected 32 characters or more, for example from `openssl rand -hex 32`')
    .optional(),
  MILLRACE_JWKS_URL: z
    .url({ protocol: /^https?$/, error: 'expected the http or https URL of a JWKS document' })
    .optional(),
  MILLRACE_JWT_ISSUER: z.string().optional(),
  MILLRACE_JWT_AUDIENCE: z.string().optional(),
  MILLRACE_JWT_CLAIM: z.string().default('roles'),
  LOG_LEVEL: z.enum(['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']).default('info'),
  ...tracingConfig,
} as const

/** Of the apps that tell producers what is accepted. */
export const waitReplicasConfig = {
  MILLRACE_WAIT_REPLICAS: z.coerce.number('expected a number of replicas').int().min(0).max(5).default(0),
} as const

export function portConfig(fallback: number) {
  return z.coerce.number('expected a port number').int().min(0).max(65_535).default(fallback)
}
