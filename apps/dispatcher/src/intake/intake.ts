import { type EnqueueRequest, ProblemError, type QueueDefinition } from '@millrace/contracts'
import type { Clock, Tracing } from '@millrace/runtime'
import {
  type DurabilityView,
  type Enqueued,
  enqueue,
  limitsOf,
  type NewJob,
  openQueues,
  type Partition,
  type Partitions,
  type RegistryView,
} from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import { type Accepted, toAccepted } from './accepted.ts'
import { createEnqueuer, type Enqueuer, MAX_JOBS_PER_CALL } from './enqueuer.ts'
import { findQueue, knownQueue } from './find-queue.ts'
import { type RequestHeaders, toNewJob } from './job-request.ts'

export interface IntakeDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly metrics: DispatcherMetrics
  readonly clock: Clock
  readonly durability: Pick<DurabilityView, 'now'>
  readonly maxJobBytes: number
  readonly tracing?: Tracing | undefined
}

/** A job as it was asked for: the parsed request, and its text, out of which the payload is cut. */
export interface AskedJob {
  readonly request: EnqueueRequest
  readonly text: string
  readonly headers: RequestHeaders
}

export interface Intake {
  /** Accept one job, together with whatever else comes in at the moment. Refusals are problems. */
  accept(asked: AskedJob): Promise<Accepted>
  /**
   * Accept the jobs of one request; one that was refused while it was read stays refused. The results stand in their order.
   * `atomic`: those of one partition are accepted all, or, when one conflicts, not at all.
   */
  acceptAll(
    asked: readonly (AskedJob | ProblemError)[],
    options: { atomic: boolean },
  ): Promise<(Accepted | ProblemError)[]>
}

interface Prepared {
  readonly request: EnqueueRequest
  readonly job: NewJob
  readonly partition: Partition
}

export function createIntake(deps: IntakeDeps): Intake {
  const { registry, partitions, metrics } = deps
  const enqueuers = new Map<Partition, Enqueuer>(
    partitions.all.map((partition) => [partition, createEnqueuer(partition)]),
  )

  const toPrepared = ({ request, text, headers }: AskedJob, definition: QueueDefinition): Prepared => {
    const job = toNewJob(request, text, { headers, definition, maxBytes: deps.maxJobBytes, nowMs: deps.clock.now() })
    return { request, job, partition: partitions.of(job.address) }
  }

  /** Nearly always the queue is known, and then a job needs no promise. */
  const prepare = (asked: AskedJob): Prepared | Promise<Prepared> => {
    const { namespace, queue } = asked.request
    const known = knownQueue(registry, namespace, queue)
    if (known) return toPrepared(asked, known)
    return findQueue(registry, namespace, queue).then((definition) => toPrepared(asked, definition))
  }

  const prepareAll = async (asked: readonly (AskedJob | ProblemError)[]): Promise<(Prepared | ProblemError)[]> => {
    const prepared: (Prepared | ProblemError)[] = []
    for (const each of asked) {
      try {
        if (each instanceof ProblemError) throw each
        const made = prepare(each)
        prepared.push(made instanceof Promise ? await made : made)
      } catch (error) {
        if (!(error instanceof ProblemError)) throw error
        prepared.push(error)
      }
    }
    return prepared
  }

  /** Closed while this process had not heard of it: declared again since, or else refused. */
  const reopen = async ({ request, job, partition }: Prepared) => {
    await registry.refresh()
    const definition = await findQueue(registry, request.namespace, request.queue)
    await openQueues(partition, [{ address: job.address, limits: limitsOf(definition) }])
  }

  const count = ({ request: { namespace, queue } }: Prepared, kind: Enqueued['kind'], jobs = 1) =>
    metrics.enqueued.inc({ namespace, queue, result: kind }, jobs)

  /** Jobs of one partition; those of a queue that was closed once more when it is open again. */
  const enqueueSome = async (some: readonly Prepared[], atomic: boolean): Promise<Enqueued[]> => {
    const partition = some[0]?.partition as Partition
    const send = (items: readonly Prepared[]) =>
      enqueue(
        partition,
        items.map(({ job }) => job),
        { atomic },
      )
    const replies = await send(some)
    const closed = some.filter((_item, index) => replies[index]?.kind === 'closed')
    if (closed.length === 0) return replies
    for (const item of closed) await reopen(item)
    if (atomic) return send(some)
    const again = (await send(closed))[Symbol.iterator]()
    return replies.map((reply) => (reply.kind === 'closed' ? (again.next().value as Enqueued) : reply))
  }

  const countAll = (results: ReadonlyMap<Prepared, Enqueued>) => {
    const counts = new Map<string, { prepared: Prepared; kind: Enqueued['kind']; jobs: number }>()
    for (const [prepared, { kind }] of results) {
      const name = `${prepared.job.address} ${kind}`
      const known = counts.get(name)
      if (known) known.jobs++
      else counts.set(name, { prepared, kind, jobs: 1 })
    }
    for (const { prepared, kind, jobs } of counts.values()) count(prepared, kind, jobs)
  }

  return {
    async accept(asked) {
      const made = prepare(asked)
      const prepared = made instanceof Promise ? await made : made
      const enqueuer = enqueuers.get(prepared.partition) as Enqueuer
      let result = await enqueuer(prepared.job)
      if (result.kind === 'closed') {
        await reopen(prepared)
        result = await enqueuer(prepared.job)
      }
      count(prepared, result.kind)
      return toAccepted(prepared, result)
    },

    async acceptAll(asked, { atomic }) {
      const all = await prepareAll(asked)
      const mistake = all.findIndex((each) => each instanceof ProblemError)
      if (atomic && mistake >= 0) throw atIndex(all[mistake] as ProblemError, mistake)
      const prepared = all.filter((each): each is Prepared => !(each instanceof ProblemError))
      const results = new Map<Prepared, Enqueued>()
      for (const some of calls(prepared, atomic ? Number.POSITIVE_INFINITY : MAX_JOBS_PER_CALL)) {
        const replies = await enqueueSome(some, atomic)
        for (const [index, item] of some.entries()) results.set(item, replies[index] as Enqueued)
      }
      countAll(results)
      return all.map((each) => (each instanceof ProblemError ? each : concluded(each, results.get(each) as Enqueued)))
    },
  }
}

/** The jobs of each partition, so many at a time. */
function calls(prepared: readonly Prepared[], size: number): Prepared[][] {
  return [...new Set(prepared.map(({ partition }) => partition))].flatMap((partition) => {
    const mine = prepared.filter((each) => each.partition === partition)
    const parts = []
    for (let at = 0; at < mine.length; at += size) parts.push(mine.slice(at, at + size))
    return parts
  })
}

function concluded(prepared: Prepared, result: Enqueued): Accepted | ProblemError {
  try {
    return toAccepted(prepared, result)
  } catch (error) {
    if (error instanceof ProblemError) return error
    throw error
  }
}

/** A mistake in one job of a batch, with the job's place in it. */
function atIndex(error: ProblemError, index: number): ProblemError {
  const errors = (error.errors ?? []).map((fault) => ({ ...fault, pointer: `/jobs/${index}${fault.pointer}` }))
  return new ProblemError(error.code, `jobs/${index}: ${error.message}`, { errors, cause: error })
}
