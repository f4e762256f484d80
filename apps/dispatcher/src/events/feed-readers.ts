import { setTimeout as delay } from 'node:timers/promises'
import { comparePositions, ProblemError } from '@millrace/contracts'
import type { Positions } from '@millrace/engine'
import { logEnds, type Partition } from '@millrace/streams'

/** How often the logs are looked at for those who wait. */
const LOOK_MS = 100
const RETRY_SECONDS = 5

/** Those who wait for events in this process. Together they look at the logs as often as one alone would. */
export interface FeedReaders {
  /** Let one in, until the function that comes back is called. Throws ProblemError when there are too many. */
  enter(): () => void
  /** Resolves when there may be something behind these positions, at a time, or when the reader has gone. */
  wait(positions: Positions, { until, isOver }: { until: number; isOver(): boolean }): Promise<void>
}

export function createFeedReaders(sources: readonly Partition[], maxReaders: number): FeedReaders {
  let readers = 0
  let looking: Promise<Positions> | undefined
  const look = () => {
    looking ??= delay(LOOK_MS)
      .then(() => logEnds(sources))
      .finally(() => {
        looking = undefined
      })
    return looking
  }
  return {
    enter() {
      if (readers >= maxReaders) {
        const detail = `${readers} readers wait for events in this process, and more are not allowed.`
        throw new ProblemError('stream.too_many', detail, { retryAfterSeconds: RETRY_SECONDS })
      }
      readers++
      let left = false
      return () => {
        if (!left) readers--
        left = true
      }
    },
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
