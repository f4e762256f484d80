import { parsePosition } from '@millrace/contracts'
import {
  type Claim,
  type ClaimedJob,
  claim,
  isConnectionError,
  limitsOf,
  openQueues,
  type Partition,
  type Paused,
  pause,
  type Settlement,
  type TakenJob,
} from '@millrace/streams'
import { Alarm } from './alarm.ts'
import type { Attempt, Attempted, AttemptMaker, DeliveryLog, QueueReport } from './attempt.ts'
import type { Consumer } from './consumer.ts'
import { Hand } from './hand.ts'
import { Pace } from './pace.ts'
import { RecentCancels } from './recent-cancels.ts'
import { settleSurely } from './settle-surely.ts'
import { Slots } from './slots.ts'

export interface QueueRunnerDeps {
  readonly partition: Partition
  readonly report: QueueReport
  readonly logger: DeliveryLog
  /** The consumer to claim under now; undefined between two terms, and the next one wakes the runner. */
  consumer(): Consumer | undefined
  /** A claim was answered, with jobs or without. */
  onClaimed(): void
  /** The answer to a claim of this consumer was lost. */
  onAmbiguousClaim(consumer: Consumer, error: unknown): void
  /** Take over at most so many jobs of this queue; only where the queue itself says when, see `takeOverSoon`. */
  takeOver?(limit: number): Promise<Taken | undefined>
}

export interface Taken {
  readonly jobs: readonly TakenJob[]
  readonly by: Consumer
}

export interface QueueRunner {
  readonly address: string
  update(maker: AttemptMaker): void
  /** There may be work: claim now. */
  wake(): void
  /** Deliver jobs that were taken over. */
  adopt(jobs: readonly TakenJob[], consumer: Consumer): void
  /** Take over as soon as there is a slot, and before claiming: for whoever may not go beyond its limit. */
  takeOverSoon(): void
  /** End the attempt at a job that was cancelled, if it is under way here. */
  cancel(jobId: string): void
  /** Claim no more; resolves when nothing is in flight and everything is settled. */
  drain(): Promise<void>
}

interface Running {
  readonly job: ClaimedJob
  readonly consumer: Consumer
  slot: number
  attempt: Attempt | undefined
}

interface Finished {
  readonly job: ClaimedJob
  readonly consumer: Consumer
  readonly settlement: Settlement
  readonly pause: Paused | undefined
}

/** Settled in one call at most, so that a burst of answers does not hold the server up. */
const MAX_SETTLE = 200
/** The pause before a claim is tried again while Redis is away. */
const RETRY_MS = 200
/** Prefetched at most, so that what others cannot have stays little. */
const MAX_PREFETCHED = 200
/** Prefetched at longest: what has not begun by then waits behind attempts that take long, while others may have room for it. */
const MAX_PREFETCHED_MS = 100

const NOT_BEGUN = {
  reason: 'not_begun',
  durationMs: 0,
  lastResponse: { error: 'it was claimed ahead, and no attempt at it could begin here' },
} as const
const CANCELLED = { reason: 'cancelled', durationMs: 0, lastResponse: { error: 'the job was cancelled' } } as const

/**
 * Delivers one queue in this process.
 *
 * One turn at a time: settle what has finished and claim what that freed, both sent together, so a busy queue costs one
 * round trip for many jobs. Meanwhile attempts that end make way for jobs that are prefetched, as many as begin within
 * a few ms, so that no place stays empty while Redis is asked. A turn follows a turn as long as there is something to settle or to claim; after `empty` the
 * queue sleeps until a wake-up, after `full` until something of its own is settled or the next sweep, and while a circuit
 * is open until the next probe: its jobs stay in their lane meanwhile and burn no attempt.
 */
export function createQueueRunner(address: string, first: AttemptMaker, deps: QueueRunnerDeps): QueueRunner {
  const { partition, report, logger } = deps
  const running = new Slots<Running>()
  const hands = new Map<Consumer, Hand>()
  const pace = new Pace()
  const finished: Finished[] = []
  const cancels = new RecentCancels()
  let maker = first
  /** Jobs in hand: prefetched, under way, or not settled yet. */
  let held = 0
  let prefetched = 0
  let atWork = 0
  let mayClaim = false
  let wakes = 0
  let turning = false
  let turnIsNear = false
  let mayTakeOver = false
  let draining = false
  let onDrained: (() => void) | undefined
  const alarm = new Alarm(() => wake())
  const age = new Alarm(() => giveBackOld())

  /** What ends in the same instant is settled together, and not the first of it alone. */
  const turnSoon = () => {
    if (turning || turnIsNear) return
    turnIsNear = true
    queueMicrotask(() => {
      turnIsNear = false
      void turn()
    })
  }

  const turn = async () => {
    if (turning) return
    turning = true
    while (finished.length > 0 || slotsToTakeOver() > 0 || wanted() > 0) {
      const batch = finished.splice(0, MAX_SETTLE)
      const want = wanted(batch.length)
      const prefetch = worthPrefetching()
      const isClaiming = want > 0 || prefetch > prefetched
      await Promise.all([settleBatch(batch), isClaiming ? claimSome(want, prefetch) : undefined])
      if (slotsToTakeOver() > 0) await takeOverSome(slotsToTakeOver())
    }
    turning = false
    if (draining && held === 0) onDrained?.()
  }

  /** How many attempts to begin now, when so many slots are being freed. */
  const wanted = (freed = 0): number => {
    if (!mayClaim || mayTakeOver || draining) return 0
    const free = maker.limit - inFlight() + freed
    const room = maker.room()
    const roomInMs = room <= 0 ? maker.roomInMs() : undefined
    if (roomInMs !== undefined) alarm.in(roomInMs)
    return Math.min(free, room)
  }

  const inFlight = () => held - prefetched

  /** What goes out in batches waits for company as it is, and an endpoint that recovers is given little at a time. */
  const worthPrefetching = (): number => {
    const ahead = Math.min(pace.ahead(), maker.limit, MAX_PREFETCHED)
    const may = mayClaim && !mayTakeOver && !draining && maker.definition.batch === undefined
    return ahead > 0 && may && maker.room() === Number.POSITIVE_INFINITY ? ahead : 0
  }

  const slotsToTakeOver = () => (mayTakeOver && !draining ? maker.limit - inFlight() : 0)

  const takeOverSome = async (slots: number) => {
    try {
      const taken = await deps.takeOver?.(slots)
      // As many as there were slots: there may be more, for the next slot.
      mayTakeOver = taken !== undefined && taken.jobs.length >= slots
      if (taken && taken.jobs.length > 0) adopt(taken.jobs, taken.by)
    } catch (error) {
      mayTakeOver = false
      if (!isConnectionError(error))
        logger.error({ event: 'takeover.failed', queue: address, err: error }, 'take over failed')
    }
  }

  const adopt = (jobs: readonly TakenJob[], consumer: Consumer) => {
    report.tookOver(jobs.length)
    const starts = jobs.filter((job) => !job.prefetched).length
    start(jobs, consumer, starts)
    if (starts === jobs.length) return
    hands.get(consumer)?.mayBeKnown()
    wake()
  }

  const claimSome = async (want: number, prefetch: number) => {
    const consumer = deps.consumer()
    if (!consumer) {
      mayClaim = false
      return
    }
    const heard = wakes
    const { concurrency } = maker.definition
    const hand = handOf(consumer)
    const prefetched = hand.ask(want, prefetch)
    try {
      const result = await claim(partition, {
        consumer: consumer.name,
        address,
        concurrency,
        want,
        prefetch,
        prefetched,
      })
      hand.answered()
      take(result, consumer)
      deps.onClaimed()
      // A wake-up that overtook the answer, on another connection, is about a job that this claim may not have seen.
      if (wakes !== heard) mayClaim = true
    } catch (error) {
      hand.answered()
      mayClaim = false
      await onClaimError(error, consumer)
    }
  }

  const take = (result: Claim, consumer: Consumer) => {
    mayClaim = result.kind === 'claimed'
    if (result.kind === 'limited') alarm.in(result.waitMs)
    // Nothing of ours will end and make way for what is prefetched, or nothing may begin: others may come to it sooner.
    if (result.kind === 'paused' || (result.kind === 'full' && atWork === 0)) giveBack()
    if (result.kind !== 'claimed') return
    if (result.expired.length > 0) report.expired(result.expired)
    for (const job of result.jobs) report.waited(Math.max(0, result.nowMs - parsePosition(job.entryId).ms), job)
    start(result.jobs, consumer, result.starts)
  }

  const onClaimError = async (error: unknown, consumer: Consumer) => {
    if (error instanceof Error && error.message.includes('NOGROUP')) {
      const limits = limitsOf(maker.definition)
      mayClaim = await openQueues(partition, [{ address, limits }]).then(
        () => true,
        () => false,
      )
      if (mayClaim) return
    } else {
      if (!isConnectionError(error)) logger.error({ event: 'claim.failed', queue: address, err: error }, 'claim failed')
      // Whether the answer was lost or the script stopped half way: entries may be pending that nobody knows.
      deps.onAmbiguousClaim(consumer, error)
    }
    alarm.in(RETRY_MS)
  }

  const start = (jobs: readonly ClaimedJob[], consumer: Consumer, starts: number) => {
    if (consumer.lost.aborted) {
      for (const _ of jobs) report.lost()
      return
    }
    held += jobs.length
    prefetched += jobs.length
    consumer.hold(jobs.length)
    const hand = handOf(consumer)
    hand.add(jobs, starts)
    beginSome(consumer, hand)
    // The claim was under way when it was said that nothing more is to begin.
    if (draining) giveBack()
    watchAge()
    report.inFlight(inFlight())
  }

  const handOf = (consumer: Consumer): Hand => {
    const known = hands.get(consumer)
    if (known) return known
    const hand = new Hand()
    hands.set(consumer, hand)
    consumer.lost.addEventListener('abort', () => endWith(consumer, hand))
    return hand
  }

  /** Attempts of a term that is over are ended: their settles would be refused. */
  const endWith = (consumer: Consumer, hand: Hand) => {
    hands.delete(consumer)
    const left = hand.removeAll().length
    prefetched -= left
    if (left > 0) drop(consumer, left)
    for (const item of running.values()) if (item.consumer === consumer) item.attempt?.end('lost')
  }

  /** Begin what may begin. */
  const beginSome = (consumer: Consumer, hand: Hand) => {
    while (atWork < maker.limit) {
      const job = hand.next()
      if (!job) return
      prefetched--
      begin(job, consumer)
    }
  }

  const begin = (job: ClaimedJob, consumer: Consumer) => {
    const item: Running = { job, consumer, slot: 0, attempt: undefined }
    atWork++
    item.slot = running.add(item)
    item.attempt = maker.begin(job, (attempted) => onEnd(item, attempted))
    if (cancels.take(job.id)) item.attempt.end('cancelled')
  }

  const onEnd = (item: Running, { settlement, pause, span }: Attempted) => {
    const { job, consumer } = item
    running.remove(item.slot)
    atWork--
    if (consumer.lost.aborted) return drop(consumer, 1)
    report.attempted(job, settlement, span)
    finished.push({ job, settlement, consumer, pause })
    pace.ended()
    makeWay(consumer, pause !== undefined)
    turnSoon()
  }

  /** In the place of an attempt that ended another one begins, if nothing speaks against it. */
  const makeWay = (consumer: Consumer, isPaused: boolean) => {
    const hand = hands.get(consumer)
    hand?.ended()
    if (!hand || hand.prefetched === 0) return
    if (isPaused || maker.room() < Number.POSITIVE_INFINITY) giveBack()
    else beginSome(consumer, hand)
  }

  /** Put what is prefetched back among the waiting jobs: nobody knows when it could begin here. It costs no attempt. */
  const giveBack = () => {
    for (const [consumer, hand] of hands) giveBackOf(consumer, hand)
  }

  const giveBackOf = (consumer: Consumer, hand: Hand) => {
    for (const job of hand.removeAll()) endUnbegun(job, consumer, { kind: 'postpone', delayMs: 0, ...NOT_BEGUN })
  }

  const giveBackOld = () => {
    const nowMs = performance.now()
    for (const [consumer, hand] of hands)
      if (hand.sinceMs !== undefined && nowMs - hand.sinceMs >= MAX_PREFETCHED_MS) giveBackOf(consumer, hand)
    watchAge()
  }

  const watchAge = () => {
    if (prefetched === 0) return
    const since = [...hands.values()].flatMap(({ sinceMs }) => (sinceMs === undefined ? [] : [sinceMs]))
    age.in(Math.min(...since) + MAX_PREFETCHED_MS - performance.now())
  }

  const endUnbegun = (job: ClaimedJob, consumer: Consumer, settlement: Settlement) => {
    prefetched--
    finished.push({ job, settlement, consumer, pause: undefined })
    turnSoon()
  }

  /** Somebody else has these jobs now. */
  const drop = (consumer: Consumer, count: number) => {
    consumer.release(count)
    held -= count
    report.inFlight(inFlight())
    for (let n = 0; n < count; n++) report.lost()
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
    const say = (again: boolean) => {
      const hand = hands.get(consumer)
      if (again) hand?.mayBeKnown()
      return hand?.say()
    }
    const results = await settleSurely(partition, { consumer, address, attempts, say, logger })
    held -= attempts.length
    consumer.release(attempts.length)
    report.inFlight(inFlight())
    attempts.forEach(({ settlement, job }, index) => {
      report.settled(settlement, results?.[index] ?? 'late', job)
    })
    const by = attempts.find((item) => item.pause)?.pause
    if (by) await pauseBy(by)
    mayClaim = true
  }

  const pauseBy = async (by: Paused) => {
    await pause(partition, { action: 'pause', address, by }).catch((error) =>
      logger.error({ event: 'pause.failed', queue: address, err: error }, 'the queue could not be paused'),
    )
  }

  const cancelPrefetched = (jobId: string): boolean => {
    for (const [consumer, hand] of hands) {
      const job = hand.remove(jobId)
      if (job) endUnbegun(job, consumer, { kind: 'cancelled', ...CANCELLED })
      if (job) return true
    }
    return false
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
      maker.hurry?.()
      // Above a lower limit nothing more may begin, whoever's attempts end.
      if (next.limit < maker.limit) giveBack()
      maker = next
      wake()
    },
    adopt,
    takeOverSoon() {
      mayTakeOver = deps.takeOver !== undefined
      void turn()
    },
    cancel(jobId) {
      const item = running.values().find(({ job }) => job.id === jobId)
      if (item) item.attempt?.end('cancelled')
      else if (!cancelPrefetched(jobId)) cancels.add(jobId)
    },
    drain() {
      draining = true
      giveBack()
      maker.hurry?.()
      alarm.clear()
      age.clear()
      return new Promise((resolve) => {
        onDrained = resolve
        if (held === 0 && !turning) resolve()
      })
    },
  }
}
