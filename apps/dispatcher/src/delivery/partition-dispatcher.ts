import { type PartitionDelivery, type PartitionDeliveryDeps, startPartitionDelivery } from '@millrace/delivery'
import type { Logger } from '@millrace/runtime'
import { isConnectionError } from '@millrace/streams'
import { reportEnd } from '../job-ends.ts'
import type { DispatcherMetrics } from '../metrics.ts'
import { heldWhile } from '../signing/hold-unsigned.ts'
import type { Signer } from '../signing/signer.ts'
import type { TargetPolicy } from '../targets/open-ranges.ts'
import { type AttemptDeps, placeOf } from './attempt.ts'
import { createCircuitNotes } from './circuit-notes.ts'
import type { EndpointHealth } from './endpoint-health.ts'
import { createHttpAttempts } from './http-attempts.ts'
import { createQueueReport } from './queue-report.ts'

type FromDelivery = 'partition' | 'partitions' | 'registry' | 'subscriber' | 'leaseMs'

export interface PartitionDispatcherDeps extends AttemptDeps, Pick<PartitionDeliveryDeps, FromDelivery> {
  readonly metrics: DispatcherMetrics
  readonly logger: Logger
  readonly health: EndpointHealth
  readonly signer: Signer
  readonly targets: TargetPolicy
}

/** Everything that pushes the queues of one partition from this process. */
export async function startPartitionDispatcher(deps: PartitionDispatcherDeps): Promise<PartitionDelivery> {
  const { metrics, logger } = deps
  let consumer = () => ''
  const circuits = createCircuitNotes({
    ...deps,
    consumer: () => consumer(),
    onError(error) {
      if (!isConnectionError(error))
        logger.error({ event: 'breaker.note_failed', err: error }, 'background duty failed')
    },
  })
  return startPartitionDelivery({
    ...deps,
    makerOf({ definition, service }, address, context) {
      consumer = context.consumer
      const { namespace, url } = service
      const place = placeOf(definition, url, deps.targets.of(namespace))
      const target = { ...place, sign: deps.signer.of(namespace) }
      circuits.moved(address, target)
      const maker = createHttpAttempts(address, target, {
        ...deps,
        onTransition(transition) {
          circuits.note(address, transition)
          // A circuit that closed lets every queue of its origin go on, not only the one whose probe it was.
          if (transition.kind === 'closed') context.wakeAll()
        },
      })
      return heldWhile(() => deps.signer.problem(namespace), maker)
    },
    reportOf: (address) => createQueueReport(address, deps),
    onLeaseLost: () => metrics.leasesLost.inc({}),
    onEnded: ({ address, id, outcome }) =>
      reportEnd(deps, { address, jobId: id, outcome, ...(outcome === 'dead' && { reason: 'crash_loop' as const }) }),
  })
}
