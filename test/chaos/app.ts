import { setTimeout as sleep } from 'node:timers/promises'
import { type ChildHandle, type FaultProxy, STEPPED_CLOCK, startFaultProxy, startProcess } from '@millrace/testkit'

export interface AppSpec {
  readonly name: string
  readonly role: 'dispatcher' | 'scheduler' | 'audit' | 'worker'
  readonly file: URL
  /** What its proxy stands in front of. */
  readonly redisPort: number
  /** Where there are several servers, which tell their own addresses, this process has no network of its own. */
  readonly redisUrl?: string
  /** The environment, given the Redis that this process is to use. */
  env(redisUrl: string): Record<string, string>
  /** Whether it works now. */
  isReady(app: App): Promise<boolean>
}

/** How long after an end that nobody asked for it is started again. */
const RESTART_MS = 300
const LOOK_MS = 200

/** One process of the platform, with a network of its own to Redis, and kept running as a supervisor would. */
export class App {
  readonly name: string
  readonly role: AppSpec['role']
  readonly proxy: FaultProxy
  /** Ends that nobody asked for, of processes that had been ready: each is a fault of ours. */
  readonly crashes: string[] = []
  readonly #spec: AppSpec
  #child: ChildHandle | undefined
  #isWanted = false
  #wasReady = false

  static async create(spec: AppSpec): Promise<App> {
    return new App(spec, await startFaultProxy({ targetPort: spec.redisPort }))
  }

  private constructor(spec: AppSpec, proxy: FaultProxy) {
    this.name = spec.name
    this.role = spec.role
    this.#spec = spec
    this.proxy = proxy
  }

  get pid(): number {
    return this.#child?.pid ?? -1
  }

  output(): string {
    return this.#child?.output() ?? ''
  }

  async start(): Promise<void> {
    this.#isWanted = true
    this.#wasReady = false
    const child = await startProcess({
      file: this.#spec.file,
      env: { TEST_CLOCK_STEPS_MS: '5000,0,-5000,0', ...this.#spec.env(this.#spec.redisUrl ?? this.proxy.url) },
      preload: STEPPED_CLOCK,
    })
    this.#child = child
    void this.#noteWhenReady(child)
    void child.exited.then(async (exit) => {
      if (!this.#isWanted || this.#child !== child) return
      if (this.#wasReady) this.crashes.push(`${this.name} ended by itself, ${JSON.stringify(exit)}: ${tail(child)}`)
      await sleep(RESTART_MS)
      if (this.#isWanted && this.#child === child) await this.start()
    })
  }

  isReady(): Promise<boolean> {
    return this.#spec.isReady(this).catch(() => false)
  }

  /** Until then it may give up, as when Redis is away while it starts. */
  async #noteWhenReady(child: ChildHandle): Promise<void> {
    while (this.#isWanted && this.#child === child && !this.#wasReady) {
      await sleep(LOOK_MS)
      const ready = await this.isReady()
      if (this.#child === child) this.#wasReady ||= ready
    }
  }

  signal(signal: NodeJS.Signals): void {
    this.#child?.signal(signal)
  }

  async kill(): Promise<void> {
    this.#isWanted = false
    await this.#child?.killGroup()
  }

  /** As an operator would: SIGTERM, and time to finish. */
  async stop(): Promise<void> {
    this.#isWanted = false
    const exit = await this.#child?.stop()
    if (exit && exit.code !== 0) this.crashes.push(`${this.name} did not stop well, ${JSON.stringify(exit)}`)
  }
}

function tail(child: ChildHandle): string {
  return child.lines().slice(-5).join('\n')
}
