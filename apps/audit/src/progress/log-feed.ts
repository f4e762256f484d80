import { JOB_EVENTS, type LogEvent, ProblemError } from '@millrace/contracts'
import { type connectBlocking, createLogReader, type Partition } from '@millrace/streams'

type Connection = ReturnType<typeof connectBlocking>

/** Whose events a listener hears: those of a job, or the reports of a process or for a user. */
export type FeedKey = `job:${string}` | `process:${string}/${string}` | `user:${string}/${string}`

export interface FeedListener {
  readonly key: FeedKey
  /** `also` lets another listener hear from this event on, this one not included; the answer is how it leaves. */
  onEvent(event: LogEvent, also: (other: FeedListener) => () => void): void
  /** The log cannot be followed any more: whoever goes on listening would hear of nothing. */
  onBroken(): void
}

export interface Listening {
  /** Every event behind this position will be told; what lies before it is in the log. */
  readonly position: string
  leave(): void
}

/** The logs as they grow, for whoever listens. Each log is read once for all its listeners, and only while it has any. */
export interface LogFeed {
  listen(partition: Partition, listener: FeedListener): Promise<Listening>
  stop(): void
}

export interface LogFeedDeps {
  /** A connection of its own, ready, for reads that block for up to `FEED_BLOCK_MS`. */
  connect(partition: Partition): Promise<Connection>
  onError(error: unknown): void
}

/** A read without news ends after this, to see whether anybody still listens. */
export const FEED_BLOCK_MS = 500
const PAGE = 1000

export function createLogFeed(deps: LogFeedDeps): LogFeed {
  const followers = new Map<Partition, Promise<Follower>>()

  const followerOf = (partition: Partition): Promise<Follower> => {
    const known = followers.get(partition)
    if (known) return known
    const forget = () => followers.delete(partition)
    const follower = Follower.start(partition, deps, forget)
    followers.set(partition, follower)
    follower.catch(forget)
    return follower
  }

  return {
    async listen(partition, listener) {
      try {
        return (await followerOf(partition)).join(listener)
      } catch (error) {
        throw new ProblemError('store.unavailable', 'The log cannot be read just now.', {
          retryAfterSeconds: 1,
          cause: error,
        })
      }
    },
    stop() {
      for (const follower of followers.values())
        follower.then(
          (started) => started.end(),
          () => undefined,
        )
    },
  }
}

/**
 * Reads one log from its end on. An error ends it and breaks its listeners off: they come again, and the next follower
 * starts where the log is then, so that nobody waits for an event that was missed in between.
 */
class Follower {
  readonly #listeners = new Map<FeedKey, Set<FeedListener>>()
  readonly #connection: Connection
  readonly #onEnd: () => void
  #position: string
  #ended = false

  static async start(partition: Partition, { connect, onError }: LogFeedDeps, onEnd: () => void): Promise<Follower> {
    const connection = await connect(partition)
    const [newest] = await partition.redis.xrevrange(partition.keys.log, '+', '-', 'COUNT', 1)
    const follower = new Follower(connection, newest?.[0] ?? '0-0', onEnd)
    follower.#follow(partition).catch((error) => {
      if (!follower.#ended) onError(error)
      follower.end()
    })
    return follower
  }

  private constructor(connection: Connection, position: string, onEnd: () => void) {
    this.#connection = connection
    this.#position = position
    this.#onEnd = onEnd
  }

  join(listener: FeedListener): Listening {
    if (this.#ended) throw new Error('the follower of this log has ended')
    const others = this.#listeners.get(listener.key) ?? new Set()
    this.#listeners.set(listener.key, others.add(listener))
    return { position: this.#position, leave: () => this.#leave(listener) }
  }

  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#onEnd()
    this.#connection.disconnect()
    for (const listeners of this.#listeners.values()) for (const listener of listeners) listener.onBroken()
  }

  async #follow(partition: Partition): Promise<void> {
    const reader = createLogReader({ partition, blocking: this.#connection, group: '' })
    const also = (other: FeedListener) => this.join(other).leave
    while (!this.#ended) {
      const events = await reader.read({ after: this.#position, count: PAGE, blockMs: FEED_BLOCK_MS })
      for (const event of events) {
        this.#position = event.position
        for (const key of keysOf(event))
          for (const listener of this.#listeners.get(key) ?? []) listener.onEvent(event, also)
      }
    }
  }

  #leave(listener: FeedListener): void {
    const others = this.#listeners.get(listener.key)
    others?.delete(listener)
    if (others?.size === 0) this.#listeners.delete(listener.key)
    if (this.#listeners.size === 0) this.end()
  }
}

function keysOf({ kind, type, namespace, entityId, data }: LogEvent): FeedKey[] {
  if (kind !== 'job') return []
  const keys: FeedKey[] = [`job:${entityId}`]
  if (type !== JOB_EVENTS.progress) return keys
  const { process, userId } = parsed(data)
  if (typeof process === 'string') keys.push(`process:${namespace}/${process}`)
  if (typeof userId === 'string') keys.push(`user:${namespace}/${userId}`)
  return keys
}

/** The log is open to whoever may write to Redis, so a report could be anything. */
function parsed(data: string): Partial<Record<'process' | 'userId', unknown>> {
  try {
    return Object(JSON.parse(data))
  } catch {
    return {}
  }
}
