import { queueAddress } from '@millrace/contracts'
import {
  type EndedJob,
  fullAddress,
  isConnectionError,
  limitsOf,
  listenToWakeUps,
  moveDue,
  openQueues,
  type Partition,
  type Partitions,
  queuesOf,
  type RegisteredQueue,
  type RegistryView,
  restlessQueues,
  splitAddress,
  type TakenJob,
  takeOver,
} from '@millrace/streams'
import { type Loop, Pulse, startLoop } from '@millrace/time'
import type { Redis } from 'ioredis'
import type { AttemptMaker, DeliveryLog, QueueReport } from './attempt.ts'
import { type Consumer, joinPartition } from './consumer.ts'
import { untilDrained } from './drain.ts'
import { createQueueRunner, type QueueRunner, type Taken } from './queue-runner.ts'

export interface PartitionDeliveryDeps {
  readonly partition: Partition
  readonly partitions: Partitions
  readonly registry: RegistryView
  readonly subscriber: Redis
  readonly logger: DeliveryLog
  readonly leaseMs: number
  /** The one queue that is pulled here; without it, all queues of the partition that are pushed are delivered. */
  readonly pulls?: string
  /** How the attempts of a queue are made, by its latest definition; `wakeAll` makes every queue look for work again. */
  makerOf(queue: RegisteredQueue, address: string, context: MakerContext): AttemptMaker
  reportOf(address: string): QueueReport
  /** A term began under this name: from here on there may be jobs. */
  onJoin?(consumer: string): void
  onLeaseLost(consumer: string): void
  /** A job was to be taken over and came to its end instead. */
  onEnded(job: EndedJob): void
}

export interface MakerContext {
  wakeAll(): void
  /** The name that this process claims under now, '' between two terms. */
  consumer(): string
}

export interface PartitionDelivery {
  /** Why no work can be done here, undefined when it can. */
  problem(): string | undefined
  /** Stop claiming, let what runs end for so long, then hand the rest over. */
  drain(deadlineMs: number): Promise<void>
}

/** Jobs moved by one script call. */
const MOVE_LIMIT = 200
/** A mover looks at the due set at least this often, in case an announcement was lost. */
const MOVE_SWEEP_MS = 2000
/** Every queue that is not known to be empty is looked at this often, in case a wake-up was lost. */
const CLAIM_SWEEP_MS = 2000
/** And every one at all each so many times. */
const SWEEPS_OF_ALL = 30
/** With leases of 6 s, jobs of a dead dispatcher run elsewhere within 7.5 s. */
const TAKE_OVER_MS = 1000
const TAKE_OVER_LIMIT = 200

/** Everything that delivers the queues of one partition in this process. */
export async function startPartitionDelivery(deps: PartitionDeliveryDeps): Promise<PartitionDelivery> {
  const { partition, registry, logger, subscriber, pulls } = deps
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
      ...(pulls !== undefined && { pulls }),
      onReconnect: () => retire(joined),
      onEnd: (lost) => endTerm(joined, lost),
    })
    terms.add(joined)
    consumer = joined
    deps.onJoin?.(joined.name)
    for (const runner of runners.values()) runner.wake()
  }
  const endTerm = (term: Consumer, lost: boolean) => {
    terms.delete(term)
    if (lost) {
      deps.onLeaseLost(term.name)
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
    intervalMs: 1000,
    onError: onError('join.failed'),
    async run() {
      if (!consumer && !stopping) await join()
      return undefined
    },
  })

  // Jobs may be in hand under the name of this term that nobody knows: leaving hands them over.
  const retire = (term: Consumer) => {
    term.retire()
    replace(term)
  }
  const context: MakerContext = {
    consumer: () => consumer?.name ?? '',
    wakeAll() {
      for (const runner of runners.values()) runner.wake()
    },
  }
  const takeOverSome = async (limit: number): Promise<Taken | undefined> => {
    const by = consumer
    if (!by || stopping) return undefined
    const { onEnded } = deps
    const scope = { consumer: by.name, limit, onEnded, ...(pulls !== undefined && { pulls }) }
    const jobs = await takeOver(partition, scope).catch((error) => {
      // Whatever was taken over is in hand under our name now, and the answer that names it is lost.
      if (isConnectionError(error)) retire(by)
      throw error
    })
    return { jobs, by }
  }
  const claims = new Map<string, Pulse>()
  const runnerFor = (address: string, maker: AttemptMaker) => {
    // An idle queue is not claimed from, so only failures say something; for as long as a lease they are no hiccup.
    const pulse = new Pulse({ done: `claimed from ${address}`, failingForMs: deps.leaseMs })
    claims.set(address, pulse)
    return createQueueRunner(address, maker, {
      partition,
      logger,
      report: deps.reportOf(address),
      consumer: () => consumer,
      onClaimed: () => pulse.beat(),
      onAmbiguousClaim(by, error) {
        pulse.fail(error)
        retire(by)
      },
      ...(pulls !== undefined && { takeOver: takeOverSome }),
    })
  }

  // Namespaces whose latest version is not taken in: what fails while Redis is away is tried again by the sweep.
  const changed = new Set<string>()
  const takeIn = async (namespace: string) => {
    const service = registry.service(namespace)
    if (!service) return
    changed.add(namespace)
    const mine = queuesOf(service)
      .map((queue) => ({ queue, address: addressOf(queue) }))
      .filter(({ address }) => deps.partitions.of(address) === partition && (pulls ?? address) === address)
    await openQueues(
      partition,
      mine.map(({ address, queue }) => ({ address, limits: limitsOf(queue.definition) })),
    )
    const served = mine.filter(({ queue }) => (queue.definition.delivery === 'pull') === (pulls !== undefined))
    for (const { address, queue } of served) {
      const maker = deps.makerOf(queue, address, context)
      const known = runners.get(address)
      if (known) known.update(maker)
      else runners.set(address, runnerFor(address, maker))
      runners.get(address)?.wake()
    }
    for (const [address, runner] of runners) {
      if (splitAddress(address).namespace !== namespace || served.some((queue) => queue.address === address)) continue
      // Closed, or delivered the other way from now on. A runner left behind would open the queue again with its next claim.
      runners.delete(address)
      claims.delete(address)
      void runner.drain()
    }
    changed.delete(namespace)
  }
  registry.onChange((namespace) => void takeIn(namespace).catch(onError('registry.take_in_failed')))

  const adopt = async (jobs: readonly TakenJob[], by: Consumer) => {
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

  // What fails here is among the changed ones, and the sweep takes it in.
  for (const { namespace } of registry.services()) await takeIn(namespace).catch(onError('registry.take_in_failed'))
  const mover = startLoop({
    name: 'due-mover',
    intervalMs: MOVE_SWEEP_MS,
    onError: onError('due.move_failed'),
    async run() {
      const { moved, failed, nextInMs } = await moveDue(partition, { limit: MOVE_LIMIT })
      for (const problem of failed) onError('due.move_failed')(new Error(problem))
      return moved + failed.length === MOVE_LIMIT ? 0 : nextInMs
    },
  })
  const taker = startLoop({
    name: 'take-over',
    intervalMs: TAKE_OVER_MS,
    onError: onError('takeover.failed'),
    async run() {
      if (pulls !== undefined) {
        runners.get(pulls)?.takeOverSoon()
        return undefined
      }
      const taken = await takeOverSome(TAKE_OVER_LIMIT)
      if (taken) await adopt(taken.jobs, taken.by)
      return taken?.jobs.length === TAKE_OVER_LIMIT ? 0 : undefined
    },
  })
  let sweeps = 0
  const sweeper = startLoop({
    name: 'claim-sweep',
    intervalMs: CLAIM_SWEEP_MS,
    onError: onError('sweep.failed'),
    async run() {
      for (const namespace of changed) await takeIn(namespace)
      sweeps++
      const addresses = sweeps % SWEEPS_OF_ALL === 0 ? runners.keys() : await restlessQueues(partition)
      for (const address of addresses) runners.get(address)?.wake()
      return undefined
    },
  })
  let stopListening: () => void = () => undefined
  const drain = async (deadlineMs: number) => {
    stopping = true
    stopListening()
    await Promise.all([membership, mover, taker, sweeper].map((loop: Loop) => loop.stop()))
    const drained = Promise.all([...runners.values()].map((runner) => runner.drain()))
    await untilDrained(drained, { deadlineMs, redis: partition.redis })
    // What is still in flight is handed over: another one delivers it without charging an attempt.
    await Promise.all([...terms].map((term) => term.leave().catch(onError('lease.leave_failed'))))
  }
  try {
    stopListening = await listenToWakeUps(subscriber, partition, {
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
  } catch (error) {
    await drain(0)
    throw error
  }

  const problem = () => {
    const where = `partition ${partition.number}`
    const stuck = [...claims.values()].map((pulse) => pulse.problem()).find((found) => found !== undefined)
    if (!consumer) return `no lease on ${where}${stuck === undefined ? '' : `; ${stuck}`}`
    const lapsed = consumer.problem()
    return lapsed === undefined ? stuck : `${lapsed} on ${where}`
  }
  return { problem, drain }
}

function addressOf({ service, definition }: RegisteredQueue): string {
  return fullAddress(service.namespace, queueAddress(definition.kind, definition.name))
}
