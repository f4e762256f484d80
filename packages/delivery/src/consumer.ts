import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import { isConnectionError, lease, type Partition } from '@millrace/streams'
import { type Loop, Pulse, startLoop } from '@millrace/time'
import type { DeliveryLog } from './attempt.ts'

/**
 * One term of this process as one who delivers in a partition: a dispatcher, or the pull consumer of one queue.
 *
 * States: joined → (retired →) left, or → lost. While joined it claims and renews its lease. Lost: somebody took its jobs
 * over, so every attempt under way is ended; their settles would be refused. Retired: jobs may be in hand under this name
 * that nobody knows, since the answer to a claim never came, or a failover has undone a settle; it claims no more, settles what
 * it has, and leaves, which hands the unknown ones over.
 */
export interface Consumer {
  readonly name: string
  /** Aborted when the term is over with jobs in hand: they are somebody else's from here on. */
  readonly lost: AbortSignal
  /** Jobs in hand; the term of a retired consumer ends when it reaches 0. */
  hold(count: number): void
  release(count: number): void
  retire(): void
  /** Why it could not renew its lease, undefined while it can. */
  problem(): string | undefined
  leave(): Promise<void>
}

export interface ConsumerOptions {
  readonly partition: Partition
  readonly ttlMs: number
  readonly logger: DeliveryLog
  /** The one queue that is pulled; its address stands before the name, which is how others know what the name may hold. */
  readonly pulls?: string
  /** Its connection was lost and stands again: the server may be another one, which never heard of the last settles. */
  onReconnect(): void
  /** The term is over: lost to somebody who took over, or left. */
  onEnd(lost: boolean): void
}

/** Join a partition; resolves when the lease is held. */
export async function joinPartition(options: ConsumerOptions): Promise<Consumer> {
  const { partition, ttlMs, logger, pulls, onEnd } = options
  const name = `${pulls === undefined ? '' : `${pulls}@`}${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`
  const lost = new AbortController()
  let held = 0
  let retired = false
  let left = false
  let renewal: Loop | undefined

  // The lease may have lapsed meanwhile, and still be ours if nobody has taken over: so it is renewed at once.
  const reconnected = () => {
    renewal?.poke()
    options.onReconnect()
  }
  const stopRenewing = () => {
    if (!renewal) return
    partition.redis.off('ready', reconnected)
    void renewal.stop()
  }
  const leave = async () => {
    if (left) return
    left = true
    lost.abort()
    stopRenewing()
    onEnd(false)
    await lease(partition, { action: 'leave', consumer: name })
  }
  const leaveWhenDone = () => {
    if (retired && held === 0)
      leave().catch((error) =>
        logger.warn({ event: 'lease.leave_failed', err: error }, 'left without saying so; the lease lapses by itself'),
      )
  }
  const renew = async () => {
    const reply = await lease(partition, { action: 'renew', consumer: name, ttlMs })
    if (reply.kind === 'held') pulse.beat()
    if (reply.kind === 'held' || left) return undefined
    left = true
    stopRenewing()
    lost.abort()
    onEnd(true)
    return undefined
  }

  await lease(partition, { action: 'join', consumer: name, ttlMs })
  // As old as a lease gets: from here on others may take the jobs over.
  const pulse = new Pulse({ done: 'renewed its lease', everyMs: ttlMs, failingForMs: ttlMs })
  renewal = startLoop({
    name: 'lease',
    // Three chances to renew within one lease.
    intervalMs: ttlMs / 3,
    run: renew,
    onError: (error) => {
      pulse.fail(error)
      if (!isConnectionError(error))
        logger.error({ event: 'lease.renew_failed', err: error }, 'could not renew the lease')
    },
  })
  partition.redis.on('ready', reconnected)

  return {
    name,
    lost: lost.signal,
    hold(count) {
      held += count
    },
    release(count) {
      held -= count
      leaveWhenDone()
    },
    retire() {
      retired = true
      leaveWhenDone()
    },
    problem: () => pulse.problem(),
    leave,
  }
}
