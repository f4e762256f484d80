import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { diesWithUs, isAlive } from './dies-with-us.ts'
import { eventually } from './eventually.ts'

export interface StartProcessOptions {
  /** The file for node to run. */
  readonly file: string | URL
  readonly args?: readonly string[]
  /** What runs the file, instead of the node of the test: a program and its arguments in front of `file`. */
  readonly runner?: readonly [string, ...string[]]
  /** Given to the child beside PATH, HOME and their like. Nothing else of the parent's environment passes. */
  readonly env?: Readonly<Record<string, string | undefined>>
  readonly cwd?: string
  /** A module that runs before the file, as `node --import` does it. */
  readonly preload?: URL
  /** `startProcess` resolves at the first line that satisfies this; at once when it is missing. */
  readonly readyWhen?: RegExp | ((line: string) => boolean)
  readonly readyTimeoutMs?: number
}

export interface ChildExit {
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
}

/** A node process of the test's own. It leads a process group, and the whole group dies with the test. */
export interface ChildHandle {
  readonly pid: number
  /** Complete lines of stdout and stderr, in the order of arrival. */
  lines(): string[]
  /** Everything from both, for error messages. */
  output(): string
  /** stdout alone, for what a command prints to be read by a program. */
  stdout(): string
  /** Resolves with the first line, past or future, that matches. */
  waitForLine(pattern: RegExp, timeoutMs?: number): Promise<string>
  signal(signal: NodeJS.Signals): void
  /** SIGKILL to this process alone, as `kill -9 <pid>` does. Its own children live on. */
  kill(): Promise<ChildExit>
  /** SIGKILL to this process and all its descendants, as a machine that loses power does. */
  killGroup(): Promise<ChildExit>
  /** SIGTERM, then waits; after a minute SIGKILL to the whole group. */
  stop(): Promise<ChildExit>
  readonly exited: Promise<ChildExit>
}

// Longer than the longest drain of an app (10 s by default), so that a drain that hangs is seen as a SIGKILL.
const STOP_TIMEOUT_MS = 60_000
// How long after the exit of a process to wait for the end of its output, which a grandchild may hold open.
const OUTPUT_GRACE_MS = 250
// What a program needs to run at all, and to start soon: with what Node compiled before, an app is up in half the processor time, and
// tests start hundreds. Settings of the product are not among them: a test gives what it means.
const PASSED_ON = [
  'PATH',
  'HOME',
  'USER',
  'LOGNAME',
  'SHELL',
  'TMPDIR',
  'LANG',
  'LC_ALL',
  'NODE_V8_COVERAGE',
  'NODE_COMPILE_CACHE',
]

/** Starts `file` under the same node as the test, unless told another runner. Rejects, with the output, when it ends or is silent before it is ready, and leaves nothing running then. */
export async function startProcess(options: StartProcessOptions): Promise<ChildHandle> {
  const file = options.file instanceof URL ? fileURLToPath(options.file) : options.file
  const preload = options.preload ? ['--import', options.preload.href] : []
  const [program, ...before] = options.runner ?? [process.execPath]
  const spawned = spawn(program, [...before, ...preload, file, ...(options.args ?? [])], {
    cwd: options.cwd,
    env: childEnvironment(options.env ?? {}),
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  })
  diesWithUs(spawned, { group: true })
  const child = new RunningChild(spawned, file)
  try {
    if (options.readyWhen) await child.ready(options.readyWhen, options.readyTimeoutMs ?? 60_000)
  } catch (error) {
    // Whoever asked for it has no handle to end it with, and it may yet come up and take part in the next test.
    await child.killGroup()
    throw error
  }
  return child
}

class RunningChild implements ChildHandle {
  readonly pid: number
  readonly exited: Promise<ChildExit>
  readonly #file: string
  readonly #child: ChildProcess
  readonly #lines: string[] = []
  #output = ''
  #stdout = ''
  #exit: ChildExit | undefined

  constructor(child: ChildProcess & { stdout: Readable; stderr: Readable }, file: string) {
    this.pid = child.pid ?? -1
    this.#child = child
    this.#file = file
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      this.#stdout += text
    })
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        this.#output += text
      })
      createInterface({ input: stream }).on('line', (line) => this.#lines.push(line))
    }
    this.exited = this.#watchExit()
  }

  lines = () => [...this.#lines]
  output = () => this.#output
  stdout = () => this.#stdout

  waitForLine(pattern: RegExp, timeoutMs = 60_000): Promise<string> {
    return this.ready(pattern, timeoutMs)
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal)
  }

  kill(): Promise<ChildExit> {
    this.#child.kill('SIGKILL')
    return this.exited
  }

  killGroup(): Promise<ChildExit> {
    // The group outlives its leader when a grandchild is left, so this also works after the child has ended.
    if (this.pid > 0 && isAlive(-this.pid)) process.kill(-this.pid, 'SIGKILL')
    return this.exited
  }

  async stop(): Promise<ChildExit> {
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => void this.killGroup(), STOP_TIMEOUT_MS)
    const exit = await this.exited
    clearTimeout(timer)
    return exit
  }

  async ready(wanted: RegExp | ((line: string) => boolean), timeoutMs: number): Promise<string> {
    const matches = typeof wanted === 'function' ? wanted : (line: string) => line.search(wanted) >= 0
    const find = () => this.#lines.find(matches)
    // A process that has ended will say no more, so there is no reason to wait for the deadline.
    await eventually(() => find() !== undefined || this.#exit !== undefined, { timeoutMs }).catch(() => {})
    const line = find()
    if (line === undefined) throw this.#notSeen(String(wanted), timeoutMs)
    return line
  }

  #notSeen(wanted: string, timeoutMs: number): Error {
    const how = this.#exit ? `ended with ${JSON.stringify(this.#exit)}` : `ran for ${timeoutMs} ms`
    return new Error(`${this.#file} ${how} before a line matched ${wanted}. Its output:\n${this.#output}`)
  }

  async #watchExit(): Promise<ChildExit> {
    const closed = new Promise<void>((resolve) => this.#child.once('close', () => resolve()))
    const exit = await new Promise<ChildExit>((resolve) => {
      this.#child.once('exit', (code, signal) => resolve({ code, signal }))
      this.#child.once('error', (error) => {
        this.#output += error.message
        if (this.#child.pid === undefined) resolve({ code: null, signal: null })
      })
    })
    await Promise.race([closed, sleep(OUTPUT_GRACE_MS)])
    this.#exit = exit
    return exit
  }
}

function childEnvironment(given: Readonly<Record<string, string | undefined>>): NodeJS.ProcessEnv {
  const passed = PASSED_ON.map((name) => [name, process.env[name]] as const)
  return Object.fromEntries([...passed, ...Object.entries(given)].filter(([, value]) => value !== undefined))
}
