import { isGuarded, parseMasterKey } from '@millrace/access'
import { STORE_LIMITS } from '@millrace/contracts'
import { commonConfig, parseConfig, portConfig, waitReplicasConfig } from '@millrace/runtime'
import { z } from 'zod'
import { parseTargets } from './targets/open-ranges.ts'

/** `ops:*,billing:shop`: who may hear of whose platform events besides their own. */
function parseGrants(text: string, context: z.RefinementCtx): Record<string, string[]> {
  const grants = new Map<string, string[]>()
  for (const part of text.split(',').filter((each) => each.trim() !== '')) {
    const [, reader, namespace] = /^\s*([a-z0-9-]+):([a-z0-9-]+|\*)\s*$/.exec(part) ?? []
    if (reader === undefined || namespace === undefined) {
      const message = `expected pairs such as ops:*,billing:shop, got "${part}"`
      context.addIssue({ code: 'custom', message })
      return z.NEVER
    }
    grants.set(reader, [...(grants.get(reader) ?? []), namespace])
  }
  return Object.fromEntries(grants)
}

/** Hex or base64, one or several with commas between them. */
function parseMasterKeys(text: string, context: z.RefinementCtx): [Buffer, ...Buffer[]] {
  const [first, ...others] = text.split(',').map((part) => parseMasterKey(part.trim()))
  if (first && others.every((key) => key !== undefined)) return [first, ...others]
  context.addIssue({
    code: 'custom',
    message:
      'expected 32 bytes as 64 hex digits, for example from `openssl rand -hex 32`; of several with commas between them the first one seals',
  })
  return z.NEVER
}

const targets = z.string().check(({ value, issues }) => {
  try {
    parseTargets(value)
  } catch (error) {
    issues.push({ code: 'custom', input: value, message: (error as Error).message })
  }
})

const schema = z.object({
  ...commonConfig,
  ...waitReplicasConfig,
  MILLRACE_DISPATCHER_PORT: portConfig(7401),
  MILLRACE_SERVICE_URL_TEMPLATE: z
    .string()
    .regex(
      /^https?:\/\/.*\{namespace\}/,
      'expected an http URL with {namespace} in it, such as http://{namespace}.internal:3000',
    )
    .optional(),
  MILLRACE_MASTER_KEY: z.string().transform(parseMasterKeys).optional(),
  MILLRACE_TARGETS: targets.optional(),
  MILLRACE_MAX_JOB_BYTES: z.coerce
    .number('expected a number of bytes')
    .int()
    .min(1024)
    .max(16_777_216)
    .default(STORE_LIMITS.jobBytes.value),
  MILLRACE_DRAIN_MS: z.coerce.number('expected milliseconds').int().min(0).max(600_000).default(25_000),
  MILLRACE_EVENT_GRANTS: z.string().default('').transform(parseGrants),
  MILLRACE_SUBSCRIPTION_WAITING: z.coerce
    .number('expected a number of jobs')
    .int()
    .min(1)
    .max(10_000_000)
    .default(10_000),
  SEPTOR_URL: z.url({ protocol: /^https?$/, error: 'expected the http URL of the audit app' }).optional(),
  MILLRACE_API_KEY: z.string().min(1).optional(),
  MILLRACE_EVENT_READERS: z.coerce.number('expected a number of readers').int().min(1).max(100_000).default(1000),
  MILLRACE_EVENT_RETENTION_MS: z.coerce
    .number('expected milliseconds')
    .int()
    .min(1000)
    .default(7 * 86_400_000),
  MILLRACE_EVENT_RETENTION_BYTES: z.coerce.number('expected a number of bytes').int().min(0).default(0),
  MILLRACE_DELIVERY_TRACES: z.enum(['joined', 'linked'], 'expected joined or linked').default('joined'),
  MILLRACE_LEASE_MS: z.coerce.number('expected milliseconds').int().min(500).max(60_000).default(6000),
})
export type Config = z.infer<typeof schema> & { readonly MILLRACE_TARGETS: string }

/**
 * Where nobody needs a key, nobody but this machine comes in, and whoever registers a service could open its addresses as
 * well as the dispatcher can. With keys others come in, who must not borrow the dispatcher's place in the network.
 */
const OPEN_WITHOUT_KEYS = 'public,private,loopback'
const OPEN_WITH_KEYS = 'public'

/** The dispatcher's configuration, read once. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Readonly<Config> {
  const config = parseConfig(schema, env)
  const unless = isGuarded(config) ? OPEN_WITH_KEYS : OPEN_WITHOUT_KEYS
  return Object.freeze({ ...config, MILLRACE_TARGETS: config.MILLRACE_TARGETS ?? unless })
}
