import type { Redis } from 'ioredis'

/** A write is there, and too few replicas have it: whoever asked for it must not be told that it was accepted. */
export class NotReplicatedError extends Error {
  override readonly name = 'NotReplicatedError'
}

/** Taken before a write; calling it after the write resolves when enough replicas have the write. */
export type Confirm = () => Promise<void>

/** Long enough for a replica across a continent; a producer waits for this. */
const WAIT_MS = 1000

interface Waiting {
  readonly connection: number
  resolve(): void
  reject(error: unknown): void
}

/**
 * Waits until replicas have what was written on a connection, with `WAIT`: those who come while one is under way share the next.
 *
 * What is confirmed is a mark that is written behind the write, so that it also holds of a write that somebody else made, as when an
 * idempotency key is sent again. Write and mark have to go to the same server: one that took over meanwhile may not have the write, and
 * has the mark all the same. So a confirmation is bound to its connection and fails with it.
 */
export function createReplicaWait(redis: Redis, options: { mark: string; replicas: number }): () => Confirm {
  const { mark, replicas } = options
  let connection = 0
  redis.on('close', () => connection++)
  let next: Waiting[] = []
  let isRunning = false

  const ask = async (waiting: readonly Waiting[]) => {
    const current = waiting.filter((one) => one.connection === connection)
    for (const one of waiting) if (!current.includes(one)) one.reject(lostError())
    if (current.length === 0) return
    try {
      const [, reply] = await Promise.all([redis.set(mark, ''), redis.wait(replicas, WAIT_MS)])
      for (const one of current) reply >= replicas ? one.resolve() : one.reject(tooFewError(reply, replicas))
    } catch (error) {
      for (const one of current) one.reject(error)
    }
  }
  const run = async () => {
    isRunning = true
    while (next.length > 0) {
      const waiting = next
      next = []
      await ask(waiting)
    }
    isRunning = false
  }
  return () => {
    const bound = connection
    return () =>
      new Promise((resolve, reject) => {
        next.push({ connection: bound, resolve, reject })
        if (!isRunning) void run()
      })
  }
}

function lostError() {
  return new NotReplicatedError('the connection was lost before replicas had confirmed the write')
}

function tooFewError(have: number, want: number) {
  return new NotReplicatedError(`${have} of ${want} replicas had the write within ${WAIT_MS} ms`)
}
