import { comparePositions } from '@millrace/contracts'
import type { Positions } from '@millrace/engine'
import { shareLooks } from '@millrace/runtime'
import { logEnds, type Partition } from '@millrace/streams'

/** How often the logs are looked at for those who wait. */
const LOOK_MS = 100

/** Those who wait for events in this process. Together they look at the logs as often as one alone would. */
export interface FeedReaders {
  /** Resolves when there may be something behind these positions, at a time, or when the reader has gone. */
  wait(positions: Positions, { until, isOver }: { until: number; isOver(): boolean }): Promise<void>
}

export function createFeedReaders(sources: readonly Partition[]): FeedReaders {
  const look = shareLooks(() => logEnds(sources), LOOK_MS)
  return {
    async wait(positions, { until, isOver }) {
      while (Date.now() < until && !isOver()) {
        const ends = await look()
        const isBehind = ([partition, end]: [string, string]) =>
          comparePositions(positions[partition] ?? '0-0', end) < 0
        if (Object.entries(ends).some(isBehind)) return
      }
    },
  }
}
