import { readFileSync } from 'node:fs'

/** One tick of /proc/<pid>/stat. Linux shows a hundred a second to programs, whatever its own clock does. */
const TICK_MICROS = 10_000

/** Processor time of a process so far, user and system, all its threads; undefined where there is no /proc, or no such process. */
export function processorMicros(pid: number): number | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The second field is the program's name in parentheses and may hold anything; utime and stime are fields 14 and 15.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS
  } catch {
    return undefined
  }
}
