import { execFileSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FaultProxy } from '@millrace/testkit'
import type { App } from './app.ts'
import type { FaultName, PlannedFault } from './plan.ts'
import type { Platform } from './platform.ts'
import type { Random } from './random.ts'

/** A fault that was injected, for the table. */
export interface Injected extends PlannedFault {
  readonly fromMs: number
  readonly toMs: number
  /** What should not have happened while it lasted. */
  readonly violation?: string
}

type Heal = () => Promise<string | undefined> | string | undefined

/** Promised of half-open connections: each process finds its own in this time. */
const HALF_OPEN_LIMIT_MS = 15_000

/** Inject it, let it last, heal it. Resolves when it is over, with when that was. */
export async function injectFault(planned: PlannedFault, platform: Platform, random: Random): Promise<Injected> {
  const fromMs = Date.now()
  const heal = await FAULT_ACTIONS[planned.fault](platform, planned.target, random)
  await sleep(planned.forMs)
  const violation = await heal()
  return { ...planned, fromMs, toMs: Date.now(), ...(violation !== undefined && { violation }) }
}

/** Each makes its fault and answers how it ends. */
const FAULT_ACTIONS: Record<FaultName, (platform: Platform, target: string, random: Random) => Promise<Heal> | Heal> = {
  async kill(platform, target) {
    const app = platform.app(target)
    await app.kill()
    return () => void app.start()
  },
  stop(platform, target) {
    const app = platform.app(target)
    app.signal('SIGSTOP')
    return () => void app.signal('SIGCONT')
  },
  async 'redis kill'({ redis }) {
    await redis.kill()
    return async () => void (await redis.restart())
  },
  'redis stop'({ redis }) {
    process.kill(redis.pid, 'SIGSTOP')
    return () => void process.kill(redis.pid, 'SIGCONT')
  },
  async 'primary kill'({ deployment }, _target, random) {
    const restart = await deployment.killPrimary(random)
    return async () => void (await restart())
  },
  async 'slot move'({ deployment }, _target, random) {
    await deployment.moveSlot(random)
    return () => undefined
  },
  async cut(platform, target) {
    const { proxy } = platform.app(target)
    await proxy.cut()
    return async () => void (await proxy.heal())
  },
  stall(platform, target) {
    const { proxy } = platform.app(target)
    proxy.stall()
    return () => void proxy.resume()
  },
  'half-open'(platform, target) {
    const app = platform.app(target)
    app.proxy.freeze()
    return () => untilGivenUp(app.name, app.proxy)
  },
  slow(platform, target, random) {
    const { proxy } = platform.app(target)
    proxy.slow(random.between(5, 120))
    return () => void proxy.slow(0)
  },
  async 'node cut'({ deployment }, _target, random) {
    const { proxy, untilWhole } = await deployment.network(random)
    await proxy.cut()
    return async () => {
      await proxy.heal()
      return void (await untilWhole())
    }
  },
  async 'node stall'({ deployment }, _target, random) {
    const { proxy, untilWhole } = await deployment.network(random)
    proxy.stall()
    return async () => {
      proxy.resume()
      return void (await untilWhole())
    }
  },
  async 'node half-open'({ deployment }, _target, random) {
    const { proxy, untilWhole } = await deployment.network(random)
    proxy.freeze()
    return async () => {
      const violation = await untilGivenUp('somebody', proxy)
      await untilWhole()
      return violation
    }
  },
  async 'node slow'({ deployment }, _target, random) {
    const { proxy, untilWhole } = await deployment.network(random)
    proxy.slow(random.between(5, 120))
    return async () => {
      proxy.slow(0)
      return void (await untilWhole())
    }
  },
  clock(platform, target) {
    const app = platform.app(target)
    app.signal('SIGWINCH')
    return () => void app.signal('SIGWINCH')
  },
  'disk full'(platform) {
    const app = platform.of('audit')[0] as App
    limitFileSize(app.pid, '4096')
    return () => limitFileSize(app.pid, 'unlimited')
  },
  async 'database kill'({ postgres }) {
    await postgres?.kill()
    return async () => void (await postgres?.restart())
  },
}

async function untilGivenUp(name: string, proxy: FaultProxy): Promise<string | undefined> {
  const deadline = performance.now() + HALF_OPEN_LIMIT_MS
  while (proxy.frozen() > 0) {
    if (performance.now() > deadline) {
      const left = proxy.frozen()
      proxy.reset()
      return `${name} still held ${left} half-open connections to Redis after ${HALF_OPEN_LIMIT_MS / 1000} s`
    }
    await sleep(50)
  }
  return undefined
}

/**
 * From here on the kernel refuses each write of the process behind so many bytes of a file, as a disk without room does. It needs no
 * file system of its own, and no rights but those over one's own process. Only Linux has it.
 */
function limitFileSize(pid: number, bytes: string): undefined {
  try {
    execFileSync('prlimit', ['--pid', String(pid), `--fsize=${bytes}:unlimited`], { stdio: 'ignore' })
  } catch {
    // The process ended meanwhile, and its successor has no limit.
  }
}
