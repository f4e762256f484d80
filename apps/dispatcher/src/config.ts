import { commonConfig, parseConfig, portConfig } from '@millrace/runtime'
import { z } from 'zod'

const schema = z.object({
  ...commonConfig,
  MILLRACE_DISPATCHER_PORT: portConfig(7401),
  MILLRACE_SERVICE_URL_TEMPLATE: z
    .string()
    .regex(
      /^https?:\/\/.*\{namespace\}/,
      'expected an http URL with {namespace} in it, such as http://{namespace}.internal:3000',
    )
    .optional(),
  MILLRACE_MAX_JOB_BYTES: z.coerce
    .number('expected a number of bytes')
    .int()
    .min(1024)
    .max(16_777_216)
    .default(262_144),
  MILLRACE_DRAIN_MS: z.coerce.number('expected milliseconds').int().min(0).max(600_000).default(25_000),
  MILLRACE_LEASE_MS: z.coerce.number('expected milliseconds').int().min(500).max(60_000).default(6000),
})
export type Config = z.infer<typeof schema>

/** The dispatcher's configuration, read once. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Readonly<Config> {
  return parseConfig(schema, env)
}
