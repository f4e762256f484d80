import { parsePosition } from '@millrace/contracts'
import type { AttemptResult } from '@millrace/engine'
import type { Logger } from '@millrace/runtime'
import {
  type Claim,
  type ClaimedJob,
  claim,
  isConnectionError,
  limitsOf,
  openQueues,
  type Partition,
  pause,
  type Settled,
  type Settlement,
  settle,
  splitAddress,
} from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import type { Attempt, AttemptDeps, Target } from './attempt.ts'
import { createAttemptCounter, logAttempt } from './attempt-report.ts'
import type { Consumer } from './consumer.ts'
import { createDeliverer } from './deliverer.ts'
import type { EndpointHealth, Transition } from './endpoint-health.ts'
import { pausedBy, toSettlement } from './settlement.ts'

export interface QueueRunnerDeps extends AttemptDeps {
  readonly partition: Partition
  readonly metrics: DispatcherMetrics
  readonly logger: Logger
  readonly health: EndpointHealth
  /** The consumer to claim under now; undefined between two terms, and the next one wakes the runner. */
  consumer(): Consumer | undefined
  /** The answer to a claim of this consumer was lost. */
  onAmbiguousClaim(consumer: Consumer): void
  /** A circuit opened or closed by an answer to this queue. */
  onTransition(address: string, transition: Transition): void
}

export interface QueueRunner {
  readonly address: string
  update(target: Target): void
  /** There may be work: claim now. */
  wake(): void
  /** Deliver jobs that were taken over. */
  adopt(jobs: readonly ClaimedJob[], consumer: Consumer): void
  /** End the request of a job that was cancelled, if it is under way here. */
  cancel(jobId: string): void
  /** Claim no more; resolves when nothing is in flight and everything is settled. */
  drain(): Promise<void>
}

interface Running {
  readonly job: ClaimedJob
  readonly consumer: Consumer
  readonly attempt: Attempt
}

interface Finished {
  readonly job: ClaimedJob
  readonly consumer: Consumer
  readonly settlement: Settlement
  readonly pausesQueue: boolean
}

/** Settled in one call at most, so that a burst of answers does not hold the server up. */
const MAX_SETTLE = 200
/** The pause before a settle or claim is tried again while Redis is away. */
const RETRY_MS = 200

const CANCELLED: AttemptResult = { kind: 'failed', reason: 'cancelled', error: 'the job was cancelled' }
const LEASE_LOST: AttemptResult = { kind: 'failed', reason: 'network', error: 'the dispatcher lost its lease' }

/**
 * Delivers one queue in this process.
 *
 * One turn at a time: settle what has finished and claim what that freed, both sent together, so a busy queue costs one
 * round trip for many jobs. A turn follows a turn as long as there is something to settle or to claim; after `empty` the
 * queue sleeps until a wake-up, after `full` until something of its own is settled or the next sweep, and while a circuit
 * is open until the next probe: its jobs stay in their lane meanwhile and burn no attempt.
 */
export function createQueueRunner(address: string, first: Target, deps: QueueRunnerDeps): QueueRunner {
  const { partition, metrics, logger, health } = deps
  const labels = splitAddress(address)
  const countAttempt = createAttemptCounter(metrics, labels)
  const wait = metrics.wait.labels(labels)
  const deliverer = createDeliverer(address, deps)
  const inFlightGauge = metrics.inFlight.labels(labels)
  const running = new Set<Running>()
  const watched = new WeakSet<Consumer>()
  const finished: Finished[] = []
  let target = first
  let inFlight = 0
  let mayClaim = false
  let wakes = 0
  let turning = false
  let draining = false
  let onDrained: (() => void) | undefined
  let wakeTimer: NodeJS.Timeout | undefined

  const turn = async () => {
    if (turning) return
    turning = true
    // Jobs that were answered together, in a batch, are settled together.
    await undefined
    while (finished.length > 0 || wanted() > 0) {
      const batch = finished.splice(0, MAX_SETTLE)
      const want = wanted(batch.length)
      await Promise.all([settleBatch(batch), want > 0 ? claimSome(want) : undefined])
    }
    turning = false
    if (draining && inFlight === 0) onDrained?.()
  }

  /** How many jobs to claim now, when so many slots are being freed. */
  const wanted = (freed = 0): number => {
    if (!mayClaim || draining) return 0
    const free = target.definition.concurrency - inFlight + freed
    const room = deliverer.room(target)
    const probeInMs = room <= 0 ? health.probeInMs(target) : undefined
    if (probeInMs !== undefined) wakeIn(probeInMs)
    return Math.min(free, room)
  }

  const claimSome = async (want: number) => {
    const consumer = deps.consumer()
    if (!consumer) {
      mayClaim = false
      return
    }
    const heard = wakes
    const { concurrency } = target.definition
    try {
      take(await claim(partition, { consumer: consumer.name, address, concurrency, want }), consumer)
      // A wake-up that overtook the answer, on another connection, is about a job that this claim may not have seen.
      if (wakes !== heard) mayClaim = true
    } catch (error) {
      mayClaim = false
      await onClaimError(error, consumer)
    }
  }

  const take = (result: Claim, consumer: Consumer) => {
    mayClaim = result.kind === 'claimed'
    if (result.kind === 'limited') wakeIn(result.waitMs)
    if (result.kind !== 'claimed') return
    for (const job of result.jobs) wait.observe(Math.max(0, result.nowMs - parsePosition(job.entryId).ms) / 1000)
    start(result.jobs, consumer)
  }

  const onClaimError = async (error: unknown, consumer: Consumer) => {
    if (error instanceof Error && error.message.includes('NOGROUP')) {
      const limits = limitsOf(target.definition)
      mayClaim = await openQueues(partition, [{ address, limits }]).then(
        () => true,
        () => false,
      )
      if (mayClaim) return
    } else {
      if (!isConnectionError(error)) logger.error({ event: 'claim.failed', queue: address, err: error }, 'claim failed')
      // Whether the answer was lost or the script stopped half way: entries may be pending that nobody knows.
      deps.onAmbiguousClaim(consumer)
    }
    wakeIn(RETRY_MS)
  }

  const start = (jobs: readonly ClaimedJob[], consumer: Consumer) => {
    inFlight += jobs.length
    consumer.hold(jobs.length)
    inFlightGauge.set(inFlight)
    endWith(consumer)
    for (const job of jobs) void run(job, consumer)
  }

  /** Requests of a term that is over are ended: their settles would be refused. */
  const endWith = (consumer: Consumer) => {
    if (watched.has(consumer)) return
    watched.add(consumer)
    consumer.lost.addEventListener('abort', () => {
      for (const item of running) if (item.consumer === consumer) item.attempt.end(LEASE_LOST)
    })
  }

  const run = async (job: ClaimedJob, consumer: Consumer) => {
    const item: Running = { job, consumer, attempt: deliverer.deliver(job, target) }
    running.add(item)
    const attempted = await item.attempt.done
    const { outcome } = attempted
    running.delete(item)
    if (consumer.lost.aborted) return drop(consumer)
    const settlement = toSettlement(attempted)
    logAttempt(logger, address, job, settlement)
    finished.push({ job, settlement, consumer, pausesQueue: outcome.kind === 'postpone' && outcome.pausesQueue })
    void turn()
  }

  /** Somebody else has the job now. */
  const drop = (consumer: Consumer) => {
    consumer.release(1)
    inFlight--
    inFlightGauge.set(inFlight)
    metrics.attempts.inc({ ...labels, outcome: 'lost', reason: 'lease_lost' })
    wake()
  }

  const settleBatch = async (batch: readonly Finished[]) => {
    for (const consumer of new Set(batch.map((item) => item.consumer))) {
      await settleOf(
        consumer,
        batch.filter((item) => item.consumer === consumer),
      )
    }
  }

  const settleOf = async (consumer: Consumer, attempts: readonly Finished[]) => {
    let again = false
    let results: Settled[] | undefined
    // Asked once even when the lease is lost by now: it is refused, and the log has it as late.
    do {
      try {
        results = await settle(partition, { consumer: consumer.name, address, again, attempts })
      } catch (error) {
        if (!isConnectionError(error))
          logger.error({ event: 'settle.failed', queue: address, err: error }, 'settle failed')
        again = true
        await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
      }
    } while (!results && !consumer.lost.aborted)
    inFlight -= attempts.length
    consumer.release(attempts.length)
    inFlightGauge.set(inFlight)
    attempts.forEach(({ settlement }, index) => {
      countAttempt(settlement, results?.[index] ?? 'late')
    })
    const pausing = attempts.find((item) => item.pausesQueue)
    if (pausing) await pauseBy(pausing.settlement)
    mayClaim = true
  }

  const pauseBy = async (settlement: Settlement) => {
    const by = pausedBy(settlement, deps.clock.now())
    await pause(partition, { action: 'pause', address, by }).catch((error) =>
      logger.error({ event: 'pause.failed', queue: address, err: error }, 'the queue could not be paused'),
    )
  }

  const wake = () => {
    wakes++
    mayClaim = true
    void turn()
  }

  /** One timer is enough: whoever wakes early looks again and sets the next. */
  const wakeIn = (ms: number) => {
    if (wakeTimer) return
    wakeTimer = setTimeout(
      () => {
        wakeTimer = undefined
        wake()
      },
      Math.max(1, ms),
    ).unref()
  }

  return {
    address,
    wake,
    update(next) {
      target = next
      deliverer.flush()
      wake()
    },
    adopt(jobs, consumer) {
      metrics.takeovers.inc(labels, jobs.length)
      start(jobs, consumer)
    },
    cancel(jobId) {
      for (const item of running) if (item.job.id === jobId) item.attempt.end(CANCELLED)
    },
    drain() {
      draining = true
      deliverer.drain()
      clearTimeout(wakeTimer)
      return new Promise((resolve) => {
        onDrained = resolve
        if (inFlight === 0 && !turning) resolve()
      })
    },
  }
}
