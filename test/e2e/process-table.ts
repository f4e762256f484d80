import { execFileSync } from 'node:child_process'

export interface ProcessEntry {
  readonly pid: number
  readonly command: string
}

/** Everything that a process started, directly or through others. */
export function processesOf(root: number): ProcessEntry[] {
  const rows = execFileSync('ps', ['-eo', 'pid=,ppid=,args='], { encoding: 'utf8' })
    .trim()
    .split('\n')
    .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
    .flatMap((match) =>
      match ? [{ pid: Number(match[1]), parent: Number(match[2]), command: match[3] as string }] : [],
    )
  const below = (parent: number): ProcessEntry[] =>
    rows.filter((row) => row.parent === parent).flatMap(({ pid, command }) => [{ pid, command }, ...below(pid)])
  return below(root)
}

/** Kill a process and everything that it started, in one go, as a machine does that loses power. */
export function killTree(root: number): void {
  for (const pid of [root, ...processesOf(root).map((entry) => entry.pid)]) {
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      // It ended by itself in between, for one that was killed before it took it along.
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
}
