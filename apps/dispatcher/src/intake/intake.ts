import { type Durability, type EnqueueRequest, ProblemError } from '@millrace/contracts'
import type { Clock, Tracing } from '@millrace/runtime'
import {
  type Enqueued,
  enqueue,
  limitsOf,
  type NewJob,
  openQueues,
  type Partition,
  type Partitions,
  type Paused,
  type RegistryView,
} from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import { createEnqueuer, type Enqueuer } from './enqueuer.ts'
import { findQueue } from './find-queue.ts'
import { type RequestHeaders, toNewJob } from './job-request.ts'

export interface IntakeDeps {
  readonly registry: RegistryView
  readonly partitions: Partitions
  readonly metrics: DispatcherMetrics
  readonly clock: Clock
  readonly durability: Durability
  readonly maxJobBytes: number
  readonly tracing?: Tracing | undefined
}

/** A drain lasts minutes or hours; a producer that asks twice a minute notices its end soon enough. */
const DRAIN_RETRY_SECONDS = 30

/** A job as it was asked for: the parsed request, and its text, out of which the payload is cut. */
export interface AskedJob {
  readonly request: EnqueueRequest
  readonly text: string
  readonly headers: RequestHeaders
}

/** What a producer is told; `deduplicated` when no new job was made. */
export interface Accepted {
  readonly id: string
  readonly deduplicated?: 'idempotency_key' | 'unique' | 'debounced'
}

export interface Intake {
  /** Accept one job, together with whatever else comes in at the moment. Refusals are problems. */
  accept(asked: AskedJob): Promise<Accepted>
  /** Accept jobs so that those of one partition are accepted all, or, when one conflicts, not at all. */
  acceptTogether(asked: readonly AskedJob[]): Promise<(Accepted | ProblemError)[]>
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

  const prepare = async ({ request, text, headers }: AskedJob): Promise<Prepared> => {
    const definition = await findQueue(registry, request.namespace, request.queue)
    const job = toNewJob(request, text, { headers, definition, maxBytes: deps.maxJobBytes, nowMs: deps.clock.now() })
    return { request, job, partition: partitions.of(job.address) }
  }

  /** Closed while this process had not heard of it: declared again since, or else refused. */
  const reopen = async ({ request, job, partition }: Prepared) => {
    await registry.refresh()
    const definition = await findQueue(registry, request.namespace, request.queue)
    await openQueues(partition, [{ address: job.address, limits: limitsOf(definition) }])
  }

  const conclude = ({ request, job }: Prepared, { kind, id, by }: Enqueued): Accepted => {
    const { namespace, queue } = request
    metrics.enqueued.inc({ namespace, queue, result: kind })
    switch (kind) {
      case 'enqueued':
        return { id }
      case 'replayed':
        return { id, deduplicated: 'idempotency_key' }
      case 'duplicate':
        return { id, deduplicated: 'unique' }
      case 'debounced':
        return { id, deduplicated: 'debounced' }
      case 'conflict':
        throw new ProblemError(
          'idempotency.conflict',
          `The idempotency key "${job.idempotency?.key}" was used${id ? ` for job ${id}` : ''} with another body. Use a new key for a new job.`,
        )
      case 'refused':
        throw new ProblemError(
          'batch.refused',
          'Another job of the batch conflicts, so this one was not accepted either.',
        )
      case 'closed':
        throw new ProblemError('queue.closing', `Queue "${queue}" of ${namespace} was closed just now.`)
      case 'draining':
        throw new ProblemError(
          'queue.draining',
          `Queue "${queue}" of ${namespace} ${drainedBy(by)}; it takes no new jobs until it is resumed.`,
          {
            retryAfterSeconds: DRAIN_RETRY_SECONDS,
          },
        )
      default:
        return kind satisfies never
    }
  }

  return {
    async accept(asked) {
      const prepared = await prepare(asked)
      const enqueuer = enqueuers.get(prepared.partition) as Enqueuer
      let result = await enqueuer(prepared.job)
      if (result.kind === 'closed') {
        await reopen(prepared)
        result = await enqueuer(prepared.job)
      }
      return conclude(prepared, result)
    },

    async acceptTogether(asked) {
      const prepared = await Promise.all(
        asked.map((item, index) => prepare(item).catch((error) => Promise.reject(atIndex(error, index)))),
      )
      const results = new Map<Prepared, Enqueued>()
      for (const partition of new Set(prepared.map((item) => item.partition))) {
        const mine = prepared.filter((item) => item.partition === partition)
        const jobs = mine.map(({ job }) => job)
        let replies = await enqueue(partition, jobs, { atomic: true })
        const closed = mine.filter((_item, index) => replies[index]?.kind === 'closed')
        if (closed.length > 0) {
          for (const item of closed) await reopen(item)
          replies = await enqueue(partition, jobs, { atomic: true })
        }
        mine.forEach((item, index) => {
          results.set(item, replies[index] as Enqueued)
        })
      }
      return prepared.map((item) => {
        try {
          return conclude(item, results.get(item) as Enqueued)
        } catch (error) {
          if (error instanceof ProblemError) return error
          throw error
        }
      })
    },
  }
}

function drainedBy(by: Paused | undefined): string {
  return `has been drained by ${by?.who} since ${by?.at}${by?.why === undefined ? '' : ` (${by.why})`}`
}

/** A mistake in one job of a batch, with the job's place in it. */
function atIndex(error: unknown, index: number): unknown {
  if (!(error instanceof ProblemError)) return error
  const errors = (error.errors ?? []).map((fault) => ({ ...fault, pointer: `/jobs/${index}${fault.pointer}` }))
  return new ProblemError(error.code, `jobs/${index}: ${error.message}`, { errors, cause: error })
}
