import { queueAddress } from '@millrace/contracts'
import { type Logger, type Loop, startLoop } from '@millrace/runtime'
import {
  type ClaimedJob,
  fullAddress,
  isConnectionError,
  limitsOf,
  listenToWakeUps,
  moveDue,
  openQueues,
  type Partition,
  type Partitions,
  queuesOf,
  type RegistryView,
  splitAddress,
  takeOver,
} from '@millrace/streams'
import type { Redis } from 'ioredis'
import type { DispatcherMetrics } from '../metrics.ts'
import { type AttemptDeps, targetOf } from './attempt.ts'
import { createCircuitNotes } from './circuit-notes.ts'
import { type Consumer, joinPartition } from './consumer.ts'
import { untilDrained } from './drain.ts'
import type { EndpointHealth, Transition } from './endpoint-health.ts'
import { createQueueRunner, type QueueRunner } from './queue-runner.ts'

export interface PartitionDispatcherDeps extends AttemptDeps {
  readonly partition: Partition
  readonly partitions: Partitions
  readonly registry: RegistryView
  readonly subscriber: Redis
  readonly metrics: DispatcherMetrics
  readonly logger: Logger
  readonly health: EndpointHealth
  readonly leaseMs: number
}

export interface PartitionDispatcher {
  /** Why no work can be done here, undefined when it can. */
  problem(): string | undefined
  drain(deadlineMs: number): Promise<void>
}

/** Jobs moved by one script call. */
const MOVE_LIMIT = 200
/** A mover looks at the due set at least this often, in case an announcement was lost. */
const MOVE_SWEEP_MS = 1000
/** Every queue is looked at this often, in case a wake-up was lost. */
const CLAIM_SWEEP_MS = 2000
/** With leases of 6 s, jobs of a dead dispatcher run elsewhere within 7.5 s. */
const TAKE_OVER_MS = 1000
const TAKE_OVER_LIMIT = 200

/** Everything that delivers the queues of one partition in this process. */
export async function startPartitionDispatcher(deps: PartitionDispatcherDeps): Promise<PartitionDispatcher> {
  const { partition, registry, metrics, logger, subscriber } = deps
  const runners = new Map<string, QueueRunner>()
  const onError = (event: string) => (error: unknown) => {
    if (!isConnectionError(error)) logger.error({ event, err: error }, 'background duty failed')
  }
  let consumer: Consumer | undefined
  let stopping = false
  // Terms that have not ended yet: the current one, and retired ones that still settle.
  const terms = new Set<Consumer>()

  const join = async () => {
    const joined: Consumer = await joinPartition({
      partition,
      ttlMs: deps.leaseMs,
      logger,
      onEnd: (lost) => endTerm(joined, lost),
    })
    terms.add(joined)
    consumer = joined
    for (const runner of runners.values()) runner.wake()
  }
  const endTerm = (term: Consumer, lost: boolean) => {
    terms.delete(term)
    if (lost) {
      metrics.leasesLost.inc()
      logger.warn(
        { event: 'lease.lost', partition: partition.number, consumer: term.name },
        'lease lost, joining again',
      )
    }
    replace(term)
  }
  const replace = (term: Consumer) => {
    if (term !== consumer) return
    consumer = undefined
    if (!stopping) membership.poke()
  }
  const membership = startLoop({
    name: 'membership',
    intervalMs: 500,
    onError: onError('join.failed'),
    async run() {
      if (!consumer && !stopping) await join()
      return undefined
    },
  })

  // Jobs may be pending under the name of this term that nobody knows: leaving hands them over.
  const retire = (term: Consumer) => {
    term.retire()
    replace(term)
  }
  const circuits = createCircuitNotes({
    ...deps,
    consumer: () => consumer?.name ?? '',
    onError: onError('breaker.note_failed'),
  })
  const onTransition = (address: string, transition: Transition) => {
    circuits.note(address, transition)
    // A circuit that closed lets every queue of its origin go on, not only the one whose probe it was.
    if (transition.kind === 'closed') for (const runner of runners.values()) runner.wake()
  }
  const runnerDeps = { ...deps, consumer: () => consumer, onAmbiguousClaim: retire, onTransition }

  // Namespaces whose latest version is not taken in: what fails while Redis is away is tried again by the sweep.
  const changed = new Set<string>()
  const takeIn = async (namespace: string) => {
    const service = registry.service(namespace)
    if (!service) return
    changed.add(namespace)
    const mine = queuesOf(service)
      .map(({ definition }) => ({
        definition,
        address: fullAddress(namespace, queueAddress(definition.kind, definition.name)),
      }))
      .filter(({ address }) => deps.partitions.of(address) === partition)
    await openQueues(
      partition,
      mine.map(({ address, definition }) => ({ address, limits: limitsOf(definition) })),
    )
    for (const { address, definition } of mine) {
      const target = targetOf(definition, service.url)
      const known = runners.get(address)
      circuits.moved(address, target)
      if (known) known.update(target)
      else runners.set(address, createQueueRunner(address, target, runnerDeps))
      runners.get(address)?.wake()
    }
    for (const [address, runner] of runners) {
      if (splitAddress(address).namespace !== namespace || mine.some((queue) => queue.address === address)) continue
      // Closed. A runner left behind would open the queue again with its next claim.
      runners.delete(address)
      void runner.drain()
    }
    changed.delete(namespace)
  }
  registry.onChange((namespace) => void takeIn(namespace).catch(onError('registry.take_in_failed')))

  const adopt = async (jobs: readonly ClaimedJob[], by: Consumer) => {
    for (const job of jobs) {
      const runner = runners.get(job.address) ?? (await findRunner(job.address))
      if (runner) {
        runner.adopt([job], by)
        continue
      }
      const fields = { event: 'takeover.unknown_queue', queue: job.address, jobId: job.id }
      logger.error(fields, 'took over a job of an unknown queue, handing it on')
      retire(by)
    }
  }
  /** The runner of a queue that was applied elsewhere a moment ago. */
  const findRunner = async (address: string): Promise<QueueRunner | undefined> => {
    try {
      await registry.refresh()
      await takeIn(splitAddress(address).namespace)
    } catch (error) {
      onError('registry.take_in_failed')(error)
    }
    return runners.get(address)
  }

  for (const { namespace } of registry.services()) await takeIn(namespace)
  const mover = startLoop({
    name: 'due-mover',
    intervalMs: MOVE_SWEEP_MS,
    onError: onError('due.move_failed'),
    async run() {
      const { moved, nextInMs } = await moveDue(partition, { limit: MOVE_LIMIT })
      return moved === MOVE_LIMIT ? 0 : nextInMs
    },
  })
  const taker = startLoop({
    name: 'take-over',
    intervalMs: TAKE_OVER_MS,
    onError: onError('takeover.failed'),
    async run() {
      const by = consumer
      if (!by || stopping) return undefined
      const jobs = await takeOver(partition, { consumer: by.name, limit: TAKE_OVER_LIMIT }).catch((error) => {
        // Whatever was taken over is pending under our name now, and the answer that names it is lost.
        if (isConnectionError(error)) retire(by)
        throw error
      })
      await adopt(jobs, by)
      return jobs.length === TAKE_OVER_LIMIT ? 0 : undefined
    },
  })
  const sweeper = startLoop({
    name: 'claim-sweep',
    intervalMs: CLAIM_SWEEP_MS,
    onError: onError('sweep.failed'),
    async run() {
      for (const namespace of changed) await takeIn(namespace)
      for (const runner of runners.values()) runner.wake()
      return undefined
    },
  })
  const stopListening = await listenToWakeUps(subscriber, partition, {
    onQueue: (address) => runners.get(address)?.wake(),
    onDue: () => mover.poke(),
    onLeft: () => taker.poke(),
    onCancel(jobId) {
      for (const runner of runners.values()) runner.cancel(jobId)
    },
    onReset: () => {
      sweeper.poke()
      mover.poke()
      taker.poke()
    },
  })

  return {
    problem: () => (consumer ? undefined : `no lease on partition ${partition.number}`),
    async drain(deadlineMs) {
      stopping = true
      stopListening()
      await Promise.all([membership, mover, taker, sweeper].map((loop: Loop) => loop.stop()))
      const drained = Promise.all([...runners.values()].map((runner) => runner.drain()))
      await untilDrained(drained, { deadlineMs, redis: partition.redis })
      // What is still in flight is handed over: another dispatcher delivers it without charging an attempt.
      await Promise.all([...terms].map((term) => term.leave().catch(onError('lease.leave_failed'))))
    },
  }
}
