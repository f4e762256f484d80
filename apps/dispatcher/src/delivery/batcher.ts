import { randomUUID } from 'node:crypto'
import { type BatchSettings, DELIVERY_LIMITS } from '@millrace/contracts'
import { type AttemptResult, buildBatch, type DeliveryRequest, readBatchAnswer } from '@millrace/engine'
import type { ClaimedJob } from '@millrace/streams'
import { type AttemptDeps, attemptedOf, inputOf, maxAttemptsOf, type OnAttempted, type Target } from './attempt.ts'
import type { BatchSpan } from './attempt-traces.ts'
import { failureOf } from './send-failure.ts'
import type { Sending } from './sender.ts'

/** Where a batch queue is delivered. */
export type BatchTarget = Target & { readonly definition: { readonly batch: BatchSettings } }

/** What the circuit breaker is told of a batch: it is one request, from its first job on. */
export interface BatchEvents {
  opened(): void
  /** Its answer came; or, without a result, nothing of it is left to send. */
  ended(result?: AttemptResult): void
  /** It goes out. */
  sent(size: number): void
  /** Its answer said something of jobs that it was not asked about. */
  ignored(count: number): void
}

export interface Batcher {
  /** Jobs that the batch which is being filled has room for. */
  space(): number
  /** Deliver a job together with others. Cancelled in a request under way, it ends with that request. */
  add(job: ClaimedJob, onAttempted: OnAttempted): Sending
  /** What waits for others goes now, and nothing waits from here on. */
  hurry(): void
}

/** A request is not larger, unless one job alone is: a worker has to hold it in memory as a whole. */
const MAX_BATCH_BYTES = DELIVERY_LIMITS.batchBytes.value
/** What a job's fields take up beside its payload. */
const BYTES_PER_JOB = 400
/** Read of a batch's answer, which has a result for each job. */
const MAX_ANSWER_BYTES = DELIVERY_LIMITS.batchAnswerBytes.value

/**
 * Collects the claimed jobs of one queue and delivers them in batches.
 *
 * A batch is filling → under way → answered. Filling ends when it is full, by number or by bytes, when its first job has
 * waited for `maxWaitMs`, when the queue has a new manifest, or when the runner drains. A job in it is in hand in Redis
 * like any that is being delivered, so it counts as running, and should this process die it is taken over like one.
 */
export function createBatcher(to: BatchTarget, deps: AttemptDeps, events: BatchEvents): Batcher {
  let filling: Batch | undefined
  let isHurried = false

  const batchFor = (bytes: number): Batch => {
    if (filling && filling.bytes + bytes > MAX_BATCH_BYTES) filling.send()
    if (filling) return filling
    const left = () => {
      if (filling === batch) filling = undefined
    }
    // Jobs of a claim that was under way when the drain began still go together: they come in one go.
    const batch = new Batch(to, deps, { ...events, left }, isHurried ? 0 : to.definition.batch.maxWaitMs)
    filling = batch
    return batch
  }

  return {
    space: () => filling?.space ?? 0,
    add(job, onAttempted) {
      const bytes = Buffer.byteLength(job.data) + BYTES_PER_JOB
      return batchFor(bytes).add(job, bytes, onAttempted)
    },
    hurry() {
      isHurried = true
      filling?.send()
    },
  }
}

interface Member {
  readonly job: ClaimedJob
  readonly token: string
  readonly onAttempted: OnAttempted
  /** It was cancelled in a request under way, which is its result whatever the answer says. */
  verdict?: AttemptResult
}

class Batch {
  readonly to: BatchTarget
  bytes = 0
  readonly #deps: AttemptDeps
  readonly #events: BatchEvents & { left(): void }
  readonly #members = new Set<Member>()
  readonly #maxSize: number
  readonly #timer: NodeJS.Timeout
  #sending: Sending | undefined
  #startedAt: number
  #span: BatchSpan | undefined

  constructor(to: BatchTarget, deps: AttemptDeps, events: BatchEvents & { left(): void }, waitMs: number) {
    this.to = to
    this.#deps = deps
    this.#events = events
    this.#maxSize = to.definition.batch.maxSize
    this.#startedAt = deps.clock.now()
    this.#timer = setTimeout(() => this.send(), waitMs)
    events.opened()
  }

  get space(): number {
    return this.#maxSize - this.#members.size
  }

  add(job: ClaimedJob, bytes: number, onAttempted: OnAttempted): Sending {
    const member: Member = { job, token: randomUUID(), onAttempted }
    this.#members.add(member)
    this.bytes += bytes
    if (this.space === 0) this.send()
    return { end: (result) => this.#end(member, result) }
  }

  send(): void {
    clearTimeout(this.#timer)
    this.#events.left()
    const { clock, sender, traces } = this.#deps
    const { definition, origin, path, ranges } = this.to
    const members = [...this.#members]
    this.#startedAt = clock.now()
    this.#events.sent(members.length)
    this.#span = traces?.batch(
      members.map(({ job }) => job),
      this.to,
    )
    let request: DeliveryRequest
    try {
      request = this.#requestFor(members)
    } catch (error) {
      this.#conclude(failureOf(error, { started: false }), members)
      return
    }
    const lines = request.lines + this.to.sign(request, this.#startedAt)
    const { timeoutMs } = definition
    const sent = { origin, path, ranges, lines, body: request.body, timeoutMs, keptBodyBytes: MAX_ANSWER_BYTES }
    this.#sending = sender.send(sent, (answer) => this.#conclude(answer, members))
  }

  #requestFor(members: readonly Member[]): DeliveryRequest {
    const { definition } = this.to
    const jobs = members.map(({ job, token }) => ({
      ...inputOf(job, token),
      maxAttempts: maxAttemptsOf(job, definition),
    }))
    const trace = this.#span?.headers
    return buildBatch(jobs, { definition, id: `batch_${randomUUID()}`, nowMs: this.#startedAt, trace })
  }

  #conclude(answer: AttemptResult, members: readonly Member[]): void {
    this.#events.ended(answer)
    this.#span?.end(answer)
    const { results, ignored } = readBatchAnswer(
      answer,
      members.map(({ job }) => job.id),
    )
    if (ignored > 0) this.#events.ignored(ignored)
    members.forEach((member, index) => {
      this.#resolve(member, member.verdict ?? (results[index] as AttemptResult))
    })
  }

  #resolve(member: Member, result: AttemptResult): void {
    if (!this.#members.delete(member)) return
    const { job, token, onAttempted } = member
    const { clock, random } = this.#deps
    const { definition } = this.to
    onAttempted(
      attemptedOf(result, {
        job,
        token,
        definition,
        startedAt: this.#startedAt,
        nowMs: clock.now(),
        random: random(),
        span: this.#span?.ids,
      }),
    )
  }

  /** End one job's part. The request goes on for the others, and ends when nobody waits for it. */
  #end(member: Member, result: AttemptResult): void {
    if (!this.#members.has(member)) return
    const isCancelled = result.kind === 'failed' && result.reason === 'cancelled'
    // Its worker may be at it: the place in the queue is free when the request has ended, and not before.
    if (this.#sending && isCancelled) member.verdict = result
    else this.#resolve(member, result)
    const isWaitedFor = [...this.#members].some(({ verdict }) => !verdict)
    if (isWaitedFor) return
    if (this.#sending) this.#sending.end(result)
    else this.#abandon()
  }

  #abandon(): void {
    clearTimeout(this.#timer)
    this.#events.left()
    this.#events.ended()
  }
}
