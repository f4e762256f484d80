interface Waiting<Item, Result> {
  readonly item: Item
  resolve(result: Result): void
  reject(error: unknown): void
}

export type Batcher<Item, Result> = (item: Item) => Promise<Result>

const endOfWhatRuns = () => new Promise<void>((resolve) => process.nextTick(resolve))
const endOfTurn = () => new Promise<void>((resolve) => setImmediate(resolve))

/**
 * Send items through one call at a time: what arrives while a call is under way goes out together with the next. Requests
 * that come together thus share one script call and, with `appendfsync always`, one fsync, and a lone request waits for
 * nothing. Results stand in the order of the items.
 */
export function createBatcher<Item, Result>(
  sendAll: (items: readonly Item[]) => Promise<readonly Result[]>,
  { maxItems }: { maxItems: number },
): Batcher<Item, Result> {
  let waiting: Waiting<Item, Result>[] = []
  let sending = false

  const sendBatch = async (batch: readonly Waiting<Item, Result>[]) => {
    try {
      const results = await sendAll(batch.map(({ item }) => item))
      batch.forEach(({ resolve }, index) => {
        resolve(results[index] as Result)
      })
    } catch (error) {
      for (const { reject } of batch) reject(error)
    }
  }
  const send = async () => {
    sending = true
    // Requests of one turn of the event loop are handled together at its end, and so go out together.
    await endOfWhatRuns()
    while (waiting.length > 0) {
      const batch = waiting.slice(0, maxItems)
      waiting = waiting.slice(maxItems)
      await sendBatch(batch)
      // The answers are written first, and of the requests that came in the same turn as the reply most go along.
      await endOfTurn()
    }
    sending = false
  }

  return (item) =>
    new Promise((resolve, reject) => {
      waiting.push({ item, resolve, reject })
      if (!sending) void send()
    })
}
