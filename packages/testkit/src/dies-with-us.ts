import { type ChildProcess, spawn } from 'node:child_process'

/**
 * Makes sure that a child does not outlive this process, however this process ends.
 *
 * A handler for `exit` is not enough: a test worker that is killed runs none, and would leave servers behind on the
 * machine. So a small shell waits on a pipe that only we hold; when we are gone, for whatever reason, the kernel closes
 * the pipe and the shell kills the child, and removes the folder that was made for it. A child that leads a process group
 * takes its whole group with it.
 */
export function diesWithUs(
  child: ChildProcess,
  options: { readonly group?: boolean; readonly folder?: string } = {},
): void {
  const { pid } = child
  if (pid === undefined) return
  const target = options.group ? -pid : pid
  const script = 'read -r _; kill -s KILL -- "$0" 2>/dev/null; [ -n "$1" ] && rm -rf -- "$1"'
  const watcher = spawn('sh', ['-c', script, String(target), options.folder ?? ''], {
    // Its own session, or Ctrl-C in the terminal would end the watcher before the one it watches.
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  })
  watcher.on('error', () => {})
  watcher.stdin.on('error', () => {})
  // The watcher must not keep the event loop of a finished test alive.
  watcher.unref()
  unrefStream(watcher.stdin)
  child.once('exit', () => {
    // Children of a killed leader may live on; then the watcher stays, since they must not outlive us either.
    if (!isAlive(target)) watcher.kill('SIGKILL')
  })
}

/** Whether a process (or, with a negative id, any process of a group) exists. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}

/** A child's pipe is a socket underneath, which the types of `child_process` do not say. */
function unrefStream(stream: unknown): void {
  ;(stream as { unref?: () => void }).unref?.()
}
