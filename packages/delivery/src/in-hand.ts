import type { ClaimedJob, Paused, Settlement } from '@millrace/streams'
import { Alarm } from './alarm.ts'
import type { Attempt, Attempted, AttemptMaker, QueueReport } from './attempt.ts'
import type { Consumer } from './consumer.ts'
import { Hand } from './hand.ts'
import { Pace } from './pace.ts'
import { RecentCancels } from './recent-cancels.ts'
import { Slots } from './slots.ts'

/** A job that is to be settled. */
export interface Finished {
  readonly job: ClaimedJob
  readonly consumer: Consumer
  readonly settlement: Settlement
  readonly pause: Paused | undefined
}

export interface InHandDeps {
  readonly report: QueueReport
  maker(): AttemptMaker
  /** There is something to settle. */
  onFinished(): void
  /** Jobs are in other hands now, and there is room for others. */
  onLost(): void
}

interface Running {
  readonly job: ClaimedJob
  readonly consumer: Consumer
  slot: number
  attempt: Attempt | undefined
}

/** Prefetched at most, so that what others cannot have stays little: so many times what may be under way, and so many at all. With twice
 * as many the rate was no higher (docs/decisions/0134). */
const MOST_TIMES_LIMIT = 4
const MAX_PREFETCHED = 400
/** Prefetched at longest: what has not begun by then waits behind attempts that take long, while others may have room for it. */
const MAX_PREFETCHED_MS = 100

const NOT_BEGUN = {
  reason: 'not_begun',
  durationMs: 0,
  lastResponse: { error: 'it was claimed ahead, and no attempt at it could begin here' },
} as const
const CANCELLED = { reason: 'cancelled', durationMs: 0, lastResponse: { error: 'the job was cancelled' } } as const

/** The jobs of one queue that this process has: prefetched, under way, or finished and not settled yet. */
export class InHand {
  readonly finished: Finished[] = []
  readonly #deps: InHandDeps
  readonly #running = new Slots<Running>()
  readonly #hands = new Map<Consumer, Hand>()
  readonly #pace = new Pace()
  readonly #cancels = new RecentCancels()
  readonly #age = new Alarm(() => this.#giveBackOld())
  #held = 0
  #prefetched = 0
  #atWork = 0
  #isEnding = false
  #beginIsNear = false

  constructor(deps: InHandDeps) {
    this.#deps = deps
  }

  /** All of them. */
  get count(): number {
    return this.#held
  }

  get prefetched(): number {
    return this.#prefetched
  }

  /** Under way or not settled yet: what counts against the limit. */
  get inFlight(): number {
    return this.#held - this.#prefetched
  }

  get isAtWork(): boolean {
    return this.#atWork > 0
  }

  /**
   * How many jobs to have prefetched. What goes out in batches waits for company as it is, and an endpoint that recovers is given
   * little at a time.
   */
  worthPrefetching(): number {
    const maker = this.#deps.maker()
    const ahead = Math.min(this.#pace.ahead(), maker.limit * MOST_TIMES_LIMIT, MAX_PREFETCHED)
    const may = maker.definition.batch === undefined && maker.room() === Number.POSITIVE_INFINITY
    return may ? ahead : 0
  }

  handOf(consumer: Consumer): Hand {
    const known = this.#hands.get(consumer)
    if (known) return known
    const hand = new Hand()
    this.#hands.set(consumer, hand)
    // Answers that came in this turn of the event loop are told at its end; they still count, and are settled: too late, which is recorded.
    consumer.lost.addEventListener('abort', () => setImmediate(() => this.#endWith(consumer, hand)))
    return hand
  }

  /** What a settle says of the prefetched jobs of its consumer; `again` where the answer to the same one was lost. */
  say(consumer: Consumer, again: boolean): number | undefined {
    const hand = this.#hands.get(consumer)
    if (again) hand?.mayBeKnown()
    return hand?.say()
  }

  /** Jobs came, and so many attempts may begin. */
  start(jobs: readonly ClaimedJob[], consumer: Consumer, starts: number): void {
    const { report } = this.#deps
    if (consumer.lost.aborted) {
      for (const _ of jobs) report.lost()
      return
    }
    this.#held += jobs.length
    this.#prefetched += jobs.length
    consumer.hold(jobs.length)
    const hand = this.handOf(consumer)
    hand.add(jobs, starts)
    this.#beginSome(consumer, hand)
    // The claim was under way when it was said that nothing more is to begin.
    if (this.#isEnding) this.giveBack()
    this.#watchAge()
    report.inFlight(this.inFlight)
  }

  /** Settling and claiming took so long. */
  turned(ms: number): void {
    this.#pace.turned(ms)
  }

  /** Begin now what is to begin in the place of attempts that ended: of those that end in the same moment all end first. */
  beginDue(): void {
    if (!this.#beginIsNear) return
    this.#beginIsNear = false
    if (this.#deps.maker().room() < Number.POSITIVE_INFINITY) this.giveBack()
    else for (const [consumer, hand] of this.#hands) this.#beginSome(consumer, hand)
  }

  /** So many of the finished are settled. */
  settled(consumer: Consumer, count: number): void {
    this.#held -= count
    consumer.release(count)
    this.#deps.report.inFlight(this.inFlight)
  }

  /** End the attempt at a job that was cancelled, if it is here. */
  cancel(jobId: string): void {
    const item = this.#running.values().find(({ job }) => job.id === jobId)
    if (item) item.attempt?.end('cancelled')
    else if (!this.#cancelPrefetched(jobId)) this.#cancels.add(jobId)
  }

  /** Put what is prefetched back among the waiting jobs: nobody knows when it could begin here. It costs no attempt. */
  giveBack(): void {
    for (const [consumer, hand] of this.#hands) this.#giveBackOf(consumer, hand)
  }

  /** Nothing more begins but what claims under way let begin. */
  end(): void {
    this.#isEnding = true
    this.giveBack()
    this.#age.clear()
  }

  /** Attempts of a term that is over are ended: their settles would be refused. */
  #endWith(consumer: Consumer, hand: Hand): void {
    this.#hands.delete(consumer)
    const left = hand.removeAll().length
    this.#prefetched -= left
    if (left > 0) this.#drop(consumer, left)
    for (const item of this.#running.values()) if (item.consumer === consumer) item.attempt?.end('lost')
  }

  /** Begin what may begin. */
  #beginSome(consumer: Consumer, hand: Hand): void {
    if (consumer.lost.aborted) return
    while (this.#atWork < this.#deps.maker().limit) {
      const job = hand.next()
      if (!job) return
      this.#prefetched--
      this.#begin(job, consumer)
    }
  }

  #begin(job: ClaimedJob, consumer: Consumer): void {
    const item: Running = { job, consumer, slot: 0, attempt: undefined }
    this.#atWork++
    item.slot = this.#running.add(item)
    item.attempt = this.#deps.maker().begin(job, (attempted) => this.#onEnd(item, attempted))
    if (this.#cancels.take(job.id)) item.attempt.end('cancelled')
  }

  #onEnd(item: Running, { settlement, pause, span }: Attempted): void {
    const { job, consumer } = item
    this.#running.remove(item.slot)
    this.#atWork--
    if (!this.#hands.has(consumer)) {
      this.#drop(consumer, 1)
      return
    }
    this.#deps.report.attempted(job, settlement, span)
    this.finished.push({ job, settlement, consumer, pause })
    this.#pace.ended()
    this.#makeWay(consumer, pause !== undefined)
    this.#deps.onFinished()
  }

  /** In the place of an attempt that ended another one begins, if nothing speaks against it. */
  #makeWay(consumer: Consumer, isPaused: boolean): void {
    const hand = this.#hands.get(consumer)
    hand?.ended()
    if (!hand || hand.prefetched === 0) return
    if (isPaused) this.giveBack()
    else if (!this.#beginIsNear) {
      this.#beginIsNear = true
      process.nextTick(() => this.beginDue())
    }
  }

  #giveBackOf(consumer: Consumer, hand: Hand): void {
    // They are in other hands by now: no word of ours is due.
    if (consumer.lost.aborted) return
    for (const job of hand.removeAll()) this.#endUnbegun(job, consumer, { kind: 'postpone', delayMs: 0, ...NOT_BEGUN })
  }

  #giveBackOld(): void {
    const nowMs = performance.now()
    for (const [consumer, hand] of this.#hands)
      if (hand.sinceMs !== undefined && nowMs - hand.sinceMs >= MAX_PREFETCHED_MS) this.#giveBackOf(consumer, hand)
    this.#watchAge()
  }

  #watchAge(): void {
    if (this.#prefetched === 0) return
    const since = [...this.#hands.values()].flatMap(({ sinceMs }) => (sinceMs === undefined ? [] : [sinceMs]))
    this.#age.in(Math.min(...since) + MAX_PREFETCHED_MS - performance.now())
  }

  #cancelPrefetched(jobId: string): boolean {
    for (const [consumer, hand] of this.#hands) {
      const job = hand.remove(jobId)
      if (job) this.#endUnbegun(job, consumer, { kind: 'cancelled', ...CANCELLED })
      if (job) return true
    }
    return false
  }

  #endUnbegun(job: ClaimedJob, consumer: Consumer, settlement: Settlement): void {
    this.#prefetched--
    this.finished.push({ job, settlement, consumer, pause: undefined })
    this.#deps.onFinished()
  }

  /** Somebody else has these jobs now. */
  #drop(consumer: Consumer, count: number): void {
    const { report, onLost } = this.#deps
    consumer.release(count)
    this.#held -= count
    report.inFlight(this.inFlight)
    for (let n = 0; n < count; n++) report.lost()
    onLost()
  }
}
