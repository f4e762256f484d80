import { readFileSync } from 'node:fs'

export interface MemorySample {
  readonly atMs: number
  /** MiB by what is measured: a process by its name, and Redis. */
  readonly mib: Readonly<Record<string, number>>
}

/** Resident memory of a process in MiB, undefined when there is no such process, or no /proc. */
export function residentMib(pid: number): number | undefined {
  try {
    const kib = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1]
    return kib === undefined ? undefined : Number(kib) / 1024
  } catch {
    return undefined
  }
}

export interface MemoryVerdict {
  readonly name: string
  readonly meanMib: number
  /** What the straight line through the samples rises in an hour. */
  readonly slopeMibPerHour: number
  /** What it rises over the time that was watched. */
  readonly growthMib: number
  readonly isFlat: boolean
}

/**
 * What comes before is warm-up: code is compiled, caches and the log fill up to their bounds, and each process meets each kind of
 * fault. A heap grows by steps when it first meets one (a dispatcher 50 MiB after its Redis stood still, 27 minutes into an hour)
 * and keeps what it grew by; a leak goes on, and so is seen in the second half as well.
 */
const WARM_UP_SHARE = 0.5
/**
 * A heap that is collected now and then looks like a saw, and a line through a saw is not level. So much of the mean is taken for
 * that, and so much in any case, which is what a young heap of V8 may grow by.
 */
const TOLERANCE_SHARE = 0.1
const TOLERANCE_MIB = 16
const HOUR_MS = 3_600_000

/** Whether memory was flat after the warm-up, for each that was measured; needs three samples after it. */
export function judgeMemory(samples: readonly MemorySample[]): MemoryVerdict[] {
  const [first, last] = [samples[0], samples.at(-1)]
  if (!first || !last) return []
  const from = first.atMs + (last.atMs - first.atMs) * WARM_UP_SHARE
  const warm = samples.filter(({ atMs }) => atMs >= from)
  // Not those of the last sample alone: a process may be away just then.
  const names = new Set(warm.flatMap(({ mib }) => Object.keys(mib)))
  return [...names].flatMap((name) => {
    const points = warm.flatMap(({ atMs, mib }) => (mib[name] === undefined ? [] : [{ x: atMs, y: mib[name] }]))
    if (points.length < 3) return []
    const slope = slopeOf(points)
    const meanMib = points.reduce((sum, { y }) => sum + y, 0) / points.length
    const growthMib = slope * ((points.at(-1)?.x ?? 0) - (points[0]?.x ?? 0))
    const isFlat = growthMib <= Math.max(meanMib * TOLERANCE_SHARE, TOLERANCE_MIB)
    return [{ name, meanMib, slopeMibPerHour: slope * HOUR_MS, growthMib, isFlat }]
  })
}

/** Of the line with the least squares. */
function slopeOf(points: readonly { readonly x: number; readonly y: number }[]): number {
  const mean = (of: 'x' | 'y') => points.reduce((sum, point) => sum + point[of], 0) / points.length
  const [meanX, meanY] = [mean('x'), mean('y')]
  const over = points.reduce((sum, { x, y }) => sum + (x - meanX) * (y - meanY), 0)
  const under = points.reduce((sum, { x }) => sum + (x - meanX) ** 2, 0)
  return under === 0 ? 0 : over / under
}
