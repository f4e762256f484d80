import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { StartError } from '@millrace/runtime'
import type { Config } from '../config.ts'
import { type Kept, startKept } from './keeper.ts'
import { lastLines } from './log-file.ts'
import { type EmbeddedRedis, startEmbeddedRedis } from './redis.ts'

export interface Platform {
  /** Which Redis is used, for people. */
  readonly redis: string
  stop(): Promise<void>
}

const READY_DEADLINE_MS = 60_000
/** The dispatcher drains for up to 25 s; the others need a moment. */
const STOP_LIMIT_MS = { dispatcher: 35_000, scheduler: 12_000, audit: 15_000, redis: 15_000, example: 10_000 } as const
const RESTART_DELAY_MS = 1000

type AppName = 'dispatcher' | 'scheduler' | 'audit'

/** Start Redis (unless one is given) and the three apps as processes of their own; resolves when all are ready. */
export async function startPlatform(
  config: Config,
  { onRestart }: { onRestart(message: string): void },
): Promise<Platform> {
  const embedded: EmbeddedRedis | undefined =
    config.redisUrl === undefined ? await startEmbeddedRedis(config) : undefined
  const redisUrl = config.redisUrl ?? (embedded as EmbeddedRedis).url
  const env = {
    ...config.env,
    REDIS_URL: redisUrl,
    MILLRACE_HOME: config.home,
    MILLRACE_HOST: config.host,
    SEPTOR_URL: config.urls.audit,
    // The services of this machine listen on this machine, keys or no keys.
    ...(config.isLocal && { MILLRACE_TARGETS: config.env.MILLRACE_TARGETS ?? 'public,private,loopback' }),
  }
  const supervised: Supervised[] = []
  const stop = async () => {
    // The dispatcher first, while the services it delivers to and the log's reader are still there; Redis last.
    for (const app of supervised) await app.stop()
    await embedded?.kept.stop(STOP_LIMIT_MS.redis)
  }
  try {
    for (const name of ['dispatcher', 'scheduler', 'audit'] as const) {
      supervised.push(
        supervise({
          name,
          logFile: join(config.home, 'logs', `${name}.log`),
          start: () => startApp(name, config, env),
          onRestart,
        }),
      )
    }
    await Promise.all(
      (['dispatcher', 'scheduler', 'audit'] as const).map((name, index) =>
        ready(name, config, supervised[index] as Supervised),
      ),
    )
  } catch (error) {
    await stop()
    throw error
  }
  return { redis: embedded ? `embedded, data in ${join(config.home, 'redis')}` : hidePassword(redisUrl), stop }
}

/** Start a service beside the platform: kept, restarted when it ends, logging to a file. */
export function startService({
  name,
  file,
  env,
  home,
  onRestart,
}: {
  name: string
  file: string
  env: NodeJS.ProcessEnv
  home: string
  onRestart(message: string): void
}): Supervised {
  const logFile = join(home, 'logs', `${name}.log`)
  return supervise({
    name,
    logFile,
    start: () => startKept({ name, command: process.execPath, args: [file], env, logFile }),
    onRestart,
  })
}

export interface Supervised {
  readonly logFile: string
  /** Rejects when the process ends before it was ever ready. */
  readonly endedEarly: Promise<never>
  markReady(): void
  stop(): Promise<void>
}

interface SuperviseOptions {
  readonly name: string
  readonly logFile: string
  start(): Kept
  onRestart(message: string): void
}

/** Keep a process running: one that ends before it is ready is an error, one that ends later is started again. */
function supervise({ name, logFile, start, onRestart }: SuperviseOptions): Supervised {
  let stopping = false
  let isReady = false
  let kept = start()
  let failEarly: (error: Error) => void = () => undefined
  const endedEarly = new Promise<never>((_resolve, reject) => {
    failEarly = reject
  })
  endedEarly.catch(() => undefined)

  const watch = async () => {
    const code = await kept.exited
    if (stopping) return
    if (!isReady) return failEarly(new StartError(`The ${name} ended with code ${code}:\n${lastLines(logFile, 8)}`))
    onRestart(`the ${name} ended with code ${code} and is started again (log: ${logFile})`)
    await delay(RESTART_DELAY_MS)
    if (stopping) return
    kept = start()
    void watch()
  }
  void watch()

  return {
    logFile,
    endedEarly,
    markReady() {
      isReady = true
    },
    async stop() {
      stopping = true
      await kept.stop(STOP_LIMIT_MS[name as keyof typeof STOP_LIMIT_MS] ?? STOP_LIMIT_MS.example)
    },
  }
}

function startApp(name: AppName, config: Config, env: NodeJS.ProcessEnv): Kept {
  const file = fileURLToPath(new URL(`../../../${name}/src/main.ts`, import.meta.url))
  return startKept({
    name,
    command: process.execPath,
    args: [file],
    env: name === 'dispatcher' ? env : withoutMasterKey(env),
    logFile: join(config.home, 'logs', `${name}.log`),
  })
}

/** Only the dispatcher signs; whoever has the key could open every signing secret. */
export function withoutMasterKey({ MILLRACE_MASTER_KEY: _key, ...env }: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return env
}

async function ready(name: AppName, config: Config, app: Supervised): Promise<void> {
  await Promise.race([answers(`${config.urls[name]}/readyz`, name, app.logFile), app.endedEarly])
  app.markReady()
}

/** Resolves when an address answers with 2xx. */
export async function answers(url: string, name: string, logFile: string): Promise<void> {
  const deadline = Date.now() + READY_DEADLINE_MS
  while (Date.now() < deadline) {
    const ok = await fetch(url, { signal: AbortSignal.timeout(2000) }).then(
      (response) => response.ok,
      () => false,
    )
    if (ok) return
    await delay(50)
  }
  throw new StartError(
    `The ${name} was not ready within ${READY_DEADLINE_MS / 1000} s (${url}):\n${lastLines(logFile, 8)}`,
  )
}

function hidePassword(url: string): string {
  return url.replace(/\/\/[^@/]*@/, '//…@').replace(/(_password=)[^&]*/, '$1…')
}
