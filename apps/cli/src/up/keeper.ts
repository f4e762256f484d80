import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync } from 'node:fs'
import { dirname } from 'node:path'

export interface KeptOptions {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env: NodeJS.ProcessEnv
  readonly logFile: string
  readonly cwd?: string
}

/** A child process that cannot outlive us. */
export interface Kept {
  readonly name: string
  /** Resolves with the exit code when the process has ended, whatever ended it. */
  readonly exited: Promise<number>
  isRunning(): boolean
  /** Ask it to end (SIGTERM); after the limit its whole process group is killed. */
  stop(limitMs: number): Promise<void>
}

/**
 * A shell stands between us and the command. It waits on a pipe that only we hold open: when we let go of it, or die of
 * whatever cause, `kill -9` included, the command gets a SIGTERM. In a session of its own, so that the Ctrl-C of the
 * terminal reaches us alone and we stop things in order.
 */
const KEEPER = `
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
{ cat <&3 >/dev/null; kill -TERM $child 2>/dev/null; } &
watcher=$!
wait $child
code=$?
kill $watcher 2>/dev/null
exit $code
`

export function startKept({ name, command, args, env, logFile, cwd }: KeptOptions): Kept {
  mkdirSync(dirname(logFile), { recursive: true })
  const log = openSync(logFile, 'a')
  const child: ChildProcess = spawn('sh', ['-c', KEEPER, 'keeper', command, ...args], {
    env,
    ...(cwd !== undefined && { cwd }),
    stdio: ['pipe', log, log],
    detached: true,
  })
  closeSync(log)
  // Writing nothing, we only need the pipe to stay open; its end is the message.
  child.stdin?.on('error', () => undefined)
  const exited = new Promise<number>((resolve) => {
    child.once('exit', (code) => {
      // Should the shell itself have been killed, its watcher is still there and ends the command.
      child.stdin?.destroy()
      resolve(code ?? 1)
    })
    child.once('error', () => resolve(127))
  })
  const isRunning = () => child.exitCode === null && child.signalCode === null

  return {
    name,
    exited,
    isRunning,
    async stop(limitMs) {
      if (!isRunning()) return
      child.stdin?.end()
      const timer = setTimeout(() => child.pid !== undefined && killGroup(child.pid), limitMs)
      await exited
      clearTimeout(timer)
    },
  }
}

function killGroup(pid: number): void {
  try {
    process.kill(-pid, 'SIGKILL')
  } catch {
    // It ended by itself in this very moment.
  }
}
