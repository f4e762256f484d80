/**
 * The largest: in a batch of so many, most jobs begin and end, and their rows are written once. More gains nothing, and
 * whoever waits for an emit waits for the batch.
 */
const MOST_EVENTS = 4000
/** As many as a slow disk or a database far away can still take in a while. */
const FEWEST_EVENTS = 250
/** How long a batch may take: others wait so long to write, and the check whether the store can be written to. */
const LONGEST_MS = 250

/** How many events the next batch may have, by how long the last full one took. */
export function createBatchSize() {
  let size = 1000
  return {
    get events(): number {
      return size
    },
    took({ events, ms }: { events: number; ms: number }): void {
      if (ms > LONGEST_MS) size = Math.max(FEWEST_EVENTS, Math.floor(size / 2))
      else if (events >= size && ms < LONGEST_MS / 2) size = Math.min(MOST_EVENTS, size * 2)
    },
  }
}
