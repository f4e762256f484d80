import { parsePosition } from '@millrace/contracts'
import { traceIdIn, traceIdOf } from '@millrace/engine'
import type { Logger } from '@millrace/runtime'
import {
  type Claim,
  type ClaimedJob,
  claim,
  isConnectionError,
  openQueues,
  type Partition,
  type Settlement,
  settle,
} from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import { type AttemptDeps, attempt, type Target } from './attempt.ts'
import type { Consumer } from './consumer.ts'

export interface QueueRunnerDeps extends AttemptDeps {
  readonly partition: Partition
  readonly metrics: DispatcherMetrics
  readonly logger: Logger
  /** The consumer to claim under now; undefined between two terms, and the next one wakes the runner. */
  consumer(): Consumer | undefined
  /** The answer to a claim of this consumer was lost. */
  onAmbiguousClaim(consumer: Consumer): void
}

export interface QueueRunner {
  readonly address: string
  update(target: Target): void
  /** There may be work: claim now. */
  wake(): void
  /** Deliver jobs that were taken over. */
  adopt(jobs: readonly ClaimedJob[], consumer: Consumer): void
  /** Claim no more; resolves when nothing is in flight and everything is settled. */
  drain(): Promise<void>
}

interface Finished {
  readonly job: ClaimedJob
  readonly settlement: Settlement
  readonly consumer: Consumer
}

/** Settled in one call at most, so that a burst of answers does not hold the server up. */
const MAX_SETTLE = 200
/** The pause before a settle or claim is tried again while Redis is away. */
const RETRY_MS = 200

/**
 * Delivers one queue in this process.
 *
 * One turn at a time: settle what has finished and claim what that freed, both sent together, so a busy queue costs one
 * round trip for many jobs. A turn follows a turn as long as there is something to settle or to claim; after `empty` the
 * queue sleeps until a wake-up, after `full` until something of its own is settled or the next sweep.
 */
export function createQueueRunner(address: string, first: Target, deps: QueueRunnerDeps): QueueRunner {
  const { partition, metrics, logger } = deps
  const [namespace = '', queue = ''] = splitOnce(address)
  const labels = { namespace, queue }
  let target = first
  let inFlight = 0
  const finished: Finished[] = []
  let mayClaim = false
  let wakes = 0
  let turning = false
  let draining = false
  let onDrained: (() => void) | undefined

  const turn = async () => {
    if (turning) return
    turning = true
    while (finished.length > 0 || (mayClaim && !draining && inFlight < target.definition.concurrency)) {
      const batch = finished.splice(0, MAX_SETTLE)
      const want = draining || !mayClaim ? 0 : target.definition.concurrency - inFlight + batch.length
      await Promise.all([settleBatch(batch), want > 0 ? claimSome(want) : undefined])
    }
    turning = false
    if (draining && inFlight === 0) onDrained?.()
  }

  const claimSome = async (want: number) => {
    const consumer = deps.consumer()
    if (!consumer) {
      mayClaim = false
      return
    }
    const heard = wakes
    try {
      const result = await claim(partition, {
        consumer: consumer.name,
        address,
        concurrency: target.definition.concurrency,
        want,
      })
      take(result, consumer)
      // A wake-up that overtook the answer, on another connection, is about a job that this claim may not have seen.
      if (wakes !== heard) mayClaim = true
    } catch (error) {
      mayClaim = false
      await onClaimError(error, consumer)
    }
  }

  const take = (result: Claim, consumer: Consumer) => {
    mayClaim = result.kind === 'claimed'
    if (result.kind !== 'claimed') return
    for (const job of result.jobs)
      metrics.wait.observe(labels, Math.max(0, result.nowMs - parsePosition(job.entryId).ms) / 1000)
    start(result.jobs, consumer)
  }

  const onClaimError = async (error: unknown, consumer: Consumer) => {
    if (error instanceof Error && error.message.includes('NOGROUP')) {
      mayClaim = await openQueues(partition, [address]).then(
        () => true,
        () => false,
      )
      if (!mayClaim) setTimeout(wake, RETRY_MS)
    } else if (isConnectionError(error)) {
      deps.onAmbiguousClaim(consumer)
      setTimeout(wake, RETRY_MS)
    } else {
      logger.error({ event: 'claim.failed', queue: address, err: error }, 'claim failed')
      setTimeout(wake, RETRY_MS)
    }
  }

  const start = (jobs: readonly ClaimedJob[], consumer: Consumer) => {
    inFlight += jobs.length
    consumer.hold(jobs.length)
    metrics.inFlight.set(labels, inFlight)
    for (const job of jobs) void run(job, consumer)
  }

  const run = async (job: ClaimedJob, consumer: Consumer) => {
    const settlement = await attempt(job, { target, signal: consumer.lost }, deps)
    if (consumer.lost.aborted) return drop(consumer)
    logAttempt(job, settlement)
    finished.push({ job, settlement, consumer })
    void turn()
  }

  /** Somebody else has the job now. */
  const drop = (consumer: Consumer) => {
    consumer.release(1)
    inFlight--
    metrics.inFlight.set(labels, inFlight)
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
    let results: Awaited<ReturnType<typeof settle>> | undefined
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
    metrics.inFlight.set(labels, inFlight)
    attempts.forEach(({ settlement }, index) => {
      count(settlement, results?.[index] ?? 'late')
    })
    mayClaim = true
  }

  const count = (settlement: Settlement, settled: 'settled' | 'late') => {
    const reason = settlement.kind === 'succeeded' ? '' : settlement.reason
    const outcome = settled === 'late' ? 'late' : settlement.kind
    metrics.attempts.inc({ ...labels, outcome, reason })
    metrics.duration.observe({ ...labels, outcome }, settlement.durationMs / 1000)
    if (outcome === 'succeeded' || outcome === 'dead') metrics.finished.inc({ ...labels, outcome })
  }

  const logAttempt = (job: ClaimedJob, settlement: Settlement) => {
    if (settlement.kind === 'succeeded' && !logger.isLevelEnabled('debug')) return
    const traceId = job.meta.traceparent ? traceIdIn(job.meta.traceparent) : traceIdOf(job.id)
    const fields = {
      event: `job.${settlement.kind}`,
      jobId: job.id,
      traceId,
      queue: address,
      attempt: job.attempt,
      durationMs: settlement.durationMs,
    }
    if (settlement.kind === 'succeeded') return logger.debug({ ...fields, status: settlement.status }, 'job succeeded')
    const { reason, lastResponse } = settlement
    const detail = { ...fields, reason, status: lastResponse.status, error: lastResponse.error }
    if (settlement.kind === 'retry')
      return logger.warn({ ...detail, delayMs: settlement.delayMs }, 'attempt failed, will retry')
    logger.error(detail, 'job is a dead letter')
  }

  const wake = () => {
    wakes++
    mayClaim = true
    void turn()
  }

  return {
    address,
    wake,
    update(next) {
      target = next
      wake()
    },
    adopt(jobs, consumer) {
      metrics.takeovers.inc(labels, jobs.length)
      start(jobs, consumer)
    },
    drain() {
      draining = true
      return new Promise((resolve) => {
        onDrained = resolve
        if (inFlight === 0 && !turning) resolve()
      })
    },
  }
}

function splitOnce(address: string): string[] {
  const slash = address.indexOf('/')
  return [address.slice(0, slash), address.slice(slash + 1)]
}
