import { readdirSync, readFileSync } from 'node:fs'

/** One tick of /proc/<pid>/stat. Linux shows a hundred a second to programs, whatever its own clock does. */
const TICK_MICROS = 10_000

/** The processes that a process has started and that are there; an empty list where there is no /proc. */
export function childrenOf(pid: number): number[] {
  try {
    const pids = readdirSync('/proc').map(Number).filter(Number.isInteger)
    // The parent is field 4.
    return pids.filter((each) => Number(statOf(each)?.[1]) === pid)
  } catch {
    return []
  }
}

/** Processor time of a process so far, user and system, all its threads; undefined where there is no /proc, or no such process. */
export function processorMicros(pid: number): number | undefined {
  const fields = statOf(pid)
  // utime and stime are fields 14 and 15.
  return fields && (Number(fields[11]) + Number(fields[12])) * TICK_MICROS
}

/** What the system says of a process, from the third field on. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses and may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
