import type { Attempt, AttemptMaker, Attempted as Ended, EndReason } from '@millrace/delivery'
import type { AttemptResult } from '@millrace/engine'
import type { Clock, Logger } from '@millrace/runtime'
import { splitAddress } from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import { type AttemptDeps, attempt, type OnAttempted, type Target } from './attempt.ts'
import { type BatchTarget, createBatcher } from './batcher.ts'
import type { EndpointHealth, Transition } from './endpoint-health.ts'
import type { Sending } from './sender.ts'
import { pausedBy, toSettlement } from './settlement.ts'

export interface HttpAttemptsDeps extends AttemptDeps {
  readonly health: EndpointHealth
  readonly metrics: Pick<DispatcherMetrics, 'batchJobs'>
  readonly logger: Logger
  /** A circuit opened or closed by an answer to this queue. */
  onTransition(transition: Transition): void
}

const ENDS: Readonly<Record<EndReason, AttemptResult>> = {
  cancelled: { kind: 'failed', reason: 'cancelled', error: 'the job was cancelled' },
  lost: { kind: 'failed', reason: 'network', error: 'the dispatcher lost its lease' },
}

/**
 * The attempts of a pushed queue: a request for each job, or for several; as many as the circuits of its endpoint let
 * through. While a circuit is open no job is claimed, so that an endpoint that is down burns no attempt.
 */
export function createHttpAttempts(address: string, target: Target, deps: HttpAttemptsDeps): AttemptMaker {
  return isBatched(target) ? inBatches(address, target, deps) : oneByOne(target, deps)
}

function oneByOne(target: Target, deps: HttpAttemptsDeps): AttemptMaker {
  const { clock } = deps
  const { definition } = target
  const health = deps.health.of(target)
  return {
    definition,
    limit: definition.concurrency,
    room: () => health.room(),
    roomInMs: () => health.probeInMs(),
    begin(job, onEnd) {
      health.started()
      const sending = attempt(job, target, deps, (attempted) => {
        for (const transition of health.ended(attempted.result)) deps.onTransition(transition)
        tell(attempted, clock, onEnd)
      })
      return endedBy(sending)
    },
  }
}

function inBatches(address: string, target: BatchTarget, deps: HttpAttemptsDeps): AttemptMaker {
  const { clock, logger } = deps
  const { definition } = target
  const health = deps.health.of(target)
  const batchJobs = deps.metrics.batchJobs.labels(splitAddress(address))
  const batcher = createBatcher(target, deps, {
    opened: () => health.started(),
    ended(result) {
      if (!result) return health.forgotten()
      for (const transition of health.ended(result)) deps.onTransition(transition)
    },
    sent: (size) => batchJobs.observe(size),
    ignored: (count) =>
      logger.warn(
        { event: 'batch.results_ignored', queue: address, count },
        'the answer to a batch has results of jobs that were not in it, or more than one of a job',
      ),
  })
  return {
    definition,
    limit: definition.concurrency,
    room() {
      const requests = health.room()
      if (health.probeInMs() !== undefined) return requests
      return Math.max(0, requests) * definition.batch.maxSize + batcher.space()
    },
    roomInMs: () => health.probeInMs(),
    begin: (job, onEnd) => endedBy(batcher.add(job, (attempted) => tell(attempted, clock, onEnd))),
    hurry: () => batcher.hurry(),
  }
}

function isBatched(target: Target): target is BatchTarget {
  return target.definition.batch !== undefined
}

function tell(attempted: Parameters<OnAttempted>[0], clock: Clock, onEnd: (ended: Ended) => void): void {
  const settlement = toSettlement(attempted)
  const { outcome, span } = attempted
  if (outcome.kind === 'postpone' && outcome.pausesQueue)
    onEnd({ settlement, pause: pausedBy(settlement, clock.now()), ...(span && { span }) })
  else onEnd(span ? { settlement, span } : { settlement })
}

function endedBy(sending: Sending): Attempt {
  return { end: (why) => sending.end(ENDS[why]) }
}
