import type { AttemptResult } from '@millrace/engine'
import type { Logger } from '@millrace/runtime'
import { type ClaimedJob, splitAddress } from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import { type Attempt, type AttemptDeps, attempt, type Target } from './attempt.ts'
import { type BatchTarget, createBatcher } from './batcher.ts'
import type { EndpointHealth, Transition } from './endpoint-health.ts'

/** How the jobs of a queue reach its endpoint: each in a request of its own, or several in one. */
export interface Deliverer {
  /** How many more jobs the circuit of the endpoint lets through now. */
  room(to: Target): number
  deliver(job: ClaimedJob, to: Target): Attempt
  /** The queue is delivered by other rules from here on: what waits by the old ones goes. */
  flush(): void
  /** No more jobs will come. */
  drain(): void
}

export interface DelivererDeps extends AttemptDeps {
  readonly health: EndpointHealth
  readonly metrics: Pick<DispatcherMetrics, 'batchJobs'>
  readonly logger: Logger
  /** A circuit opened or closed by an answer to this queue. */
  onTransition(address: string, transition: Transition): void
}

export function createDeliverer(address: string, deps: DelivererDeps): Deliverer {
  const { health, metrics, logger } = deps
  const batchJobs = metrics.batchJobs.labels(splitAddress(address))
  const ended = (to: Target, result: AttemptResult) => {
    for (const transition of health.ended(to, result)) deps.onTransition(address, transition)
  }
  const batcher = createBatcher(deps, {
    opened: (to) => health.started(to, 1),
    ended: (to, result) => (result ? ended(to, result) : health.forgotten(to)),
    sent: (size) => batchJobs.observe(size),
    ignored: (count) =>
      logger.warn(
        { event: 'batch.results_ignored', queue: address, count },
        'the answer to a batch has results of jobs that were not in it, or more than one of a job',
      ),
  })

  return {
    room(to) {
      const requests = health.room(to)
      const { batch } = to.definition
      if (!batch || health.probeInMs(to) !== undefined) return requests
      return Math.max(0, requests) * batch.maxSize + batcher.space()
    },
    deliver(job, to) {
      if (isBatched(to)) return batcher.add(job, to)
      health.started(to, 1)
      const alone = attempt(job, to, deps)
      void alone.done.then(({ result }) => ended(to, result))
      return alone
    },
    flush: () => batcher.flush(),
    drain: () => batcher.drain(),
  }
}

function isBatched(to: Target): to is BatchTarget {
  return to.definition.batch !== undefined
}
