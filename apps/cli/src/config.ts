import { userInfo } from 'node:os'
import { isAbsolute, resolve } from 'node:path'
import { commonConfig, isLoopback, parseConfig, portConfig } from '@millrace/runtime/config'
import { z } from 'zod'

const schema = z.object({
  MILLRACE_HOME: commonConfig.MILLRACE_HOME,
  MILLRACE_HOST: commonConfig.MILLRACE_HOST,
  MILLRACE_DISPATCHER_PORT: portConfig(7401),
  MILLRACE_SCHEDULER_PORT: portConfig(7402),
  MILLRACE_AUDIT_PORT: portConfig(7403),
  MILLRACE_EXAMPLE_PORT: portConfig(7410),
  MILLRACE_API_KEY: z.string().optional(),
  MILLRACE_ADMIN_KEY: commonConfig.MILLRACE_ADMIN_KEY,
  MILLRACE_JWKS_URL: commonConfig.MILLRACE_JWKS_URL,
  REDIS_URL: commonConfig.REDIS_URL.unwrap().optional(),
})

export interface Config {
  /** The data folder, absolute. */
  readonly home: string
  readonly host: string
  /** The apps listen on this machine alone. */
  readonly isLocal: boolean
  /** They ask nobody for a key or a token. */
  readonly isOpen: boolean
  readonly ports: {
    readonly dispatcher: number
    readonly scheduler: number
    readonly audit: number
    readonly example: number
  }
  readonly urls: {
    readonly dispatcher: string
    readonly scheduler: string
    readonly audit: string
    readonly example: string
  }
  /** A Redis to use instead of an embedded one. */
  readonly redisUrl?: string
  /** What to show to the apps, where they ask for a key. */
  readonly apiKey?: string
  /** Who runs the command, for the audit trail. */
  readonly user: string
  /** What the child processes inherit. */
  readonly env: NodeJS.ProcessEnv
}

/** The command's configuration, read once. */
export function readConfig(env: NodeJS.ProcessEnv = process.env): Config {
  const parsed = parseConfig(schema, env)
  const ports = {
    dispatcher: parsed.MILLRACE_DISPATCHER_PORT,
    scheduler: parsed.MILLRACE_SCHEDULER_PORT,
    audit: parsed.MILLRACE_AUDIT_PORT,
    example: parsed.MILLRACE_EXAMPLE_PORT,
  }
  const host = parsed.MILLRACE_HOST
  const urlOf = (port: number) => `http://${host === '0.0.0.0' ? '127.0.0.1' : host}:${port}`
  const urls = {
    dispatcher: urlOf(ports.dispatcher),
    scheduler: urlOf(ports.scheduler),
    audit: urlOf(ports.audit),
    example: `http://127.0.0.1:${ports.example}`,
  }
  const apiKey = parsed.MILLRACE_API_KEY ?? parsed.MILLRACE_ADMIN_KEY
  const home = isAbsolute(parsed.MILLRACE_HOME) ? parsed.MILLRACE_HOME : resolve(parsed.MILLRACE_HOME)
  return Object.freeze({
    home,
    host,
    isLocal: isLoopback(host),
    isOpen: !parsed.MILLRACE_ADMIN_KEY && !parsed.MILLRACE_JWKS_URL,
    ports,
    urls,
    env,
    user: userName(),
    ...(apiKey !== undefined && { apiKey }),
    ...(parsed.REDIS_URL && { redisUrl: parsed.REDIS_URL }),
  })
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // A user id without an account, as in some containers.
    return 'cli'
  }
}
