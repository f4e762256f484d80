import type { Injected } from './faults.ts'
import type { FaultName } from './plan.ts'
import { CHANNELS, type Channel } from './service.ts'

export interface FaultFigures {
  readonly fault: FaultName
  readonly times: number
  /** The longest silence of each channel that began before the fault was over and ended after it began, ms. */
  readonly stallMs: Readonly<Record<Channel, number>>
}

/** How long each fault made the platform stand still at most. Of two faults at once both are charged. */
export function measureStalls(
  injected: readonly Injected[],
  progress: Readonly<Record<Channel, readonly number[]>>,
): FaultFigures[] {
  const byFault = Map.groupBy(injected, ({ fault }) => fault)
  return [...byFault].map(([fault, all]) => ({
    fault,
    times: all.length,
    stallMs: Object.fromEntries(
      CHANNELS.map((channel) => [channel, Math.max(0, ...all.map((each) => longestSilence(progress[channel], each)))]),
    ) as Record<Channel, number>,
  }))
}

function longestSilence(times: readonly number[], { fromMs, toMs }: { fromMs: number; toMs: number }): number {
  let longest = 0
  let at = firstAfter(times, fromMs)
  for (at = Math.max(1, at); at < times.length; at++) {
    const [before, after] = [times[at - 1] as number, times[at] as number]
    if (before > toMs) break
    longest = Math.max(longest, after - before)
  }
  return longest
}

/** The index of the first time after a moment; times rise. */
function firstAfter(times: readonly number[], moment: number): number {
  let [low, high] = [0, times.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((times[middle] as number) <= moment) low = middle + 1
    else high = middle
  }
  return low
}
