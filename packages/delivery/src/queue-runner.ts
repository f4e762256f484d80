import {
  type Claim,
  claim,
  inOneWrite,
  isConnectionError,
  type Partition,
  type Paused,
  pause,
  type TakenJob,
} from '@millrace/streams'
import { Alarm } from './alarm.ts'
import type { AttemptMaker, DeliveryLog, QueueReport } from './attempt.ts'
import type { Consumer } from './consumer.ts'
import { type Finished, InHand } from './in-hand.ts'
import { settleSurely } from './settle-surely.ts'

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

/** Settled in one call at most, so that a burst of answers does not hold the server up. */
const MAX_SETTLE = 200
/** The pause before a claim is tried again while Redis is away. */
const RETRY_MS = 200
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
  let maker = first
  let mayClaim = false
  let wakes = 0
  let turning = false
  let turnIsNear = false
  let mayTakeOver = false
  let draining = false
  let onDrained: (() => void) | undefined
  const alarm = new Alarm(() => wake())
  const jobs = new InHand({ report, maker: () => maker, onFinished: () => turnSoon(), onLost: () => wake() })

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
    while (jobs.finished.length > 0 || slotsToTakeOver() > 0 || wanted() > 0) {
      // What is said of the prefetched jobs is said after that.
      jobs.beginDue()
      const batch = jobs.finished.splice(0, MAX_SETTLE)
      const want = wanted(batch.length)
      const prefetch = mayClaim && !mayTakeOver && !draining ? jobs.worthPrefetching() : 0
      const isClaiming = want > 0 || prefetch > jobs.prefetched
      const underWay = jobs.inFlight - batch.length
      const beganMs = performance.now()
      await inOneWrite(partition, () =>
        Promise.all([settleBatch(batch), isClaiming ? claimSome({ want, prefetch, underWay }) : undefined]),
      )
      jobs.turned(performance.now() - beganMs)
      if (slotsToTakeOver() > 0) await takeOverSome(slotsToTakeOver())
    }
    turning = false
    if (draining && jobs.count === 0) onDrained?.()
  }

  /** How many attempts to begin now, when so many slots are being freed. */
  const wanted = (freed = 0): number => {
    if (!mayClaim || mayTakeOver || draining) return 0
    const free = maker.limit - jobs.inFlight + freed
    const room = maker.room()
    const roomInMs = room <= 0 ? maker.roomInMs() : undefined
    if (roomInMs !== undefined) alarm.in(roomInMs)
    return Math.min(free, room)
  }

  const slotsToTakeOver = () => (mayTakeOver && !draining ? maker.limit - jobs.inFlight : 0)

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

  const adopt = (taken: readonly TakenJob[], consumer: Consumer) => {
    report.tookOver(taken.length)
    const starts = taken.filter((job) => !job.prefetched).length
    jobs.start(taken, consumer, starts)
    if (starts === taken.length) return
    if (!consumer.lost.aborted) jobs.handOf(consumer).mayBeKnown()
    wake()
  }

  const claimSome = async ({ want, prefetch, underWay }: { want: number; prefetch: number; underWay: number }) => {
    const consumer = deps.consumer()
    if (!consumer) {
      mayClaim = false
      return
    }
    const heard = wakes
    const { concurrency } = maker.definition
    const hand = jobs.handOf(consumer)
    const prefetched = hand.ask(want, prefetch)
    try {
      const asked = { consumer: consumer.name, address, concurrency, want, prefetch, prefetched, underWay }
      const result = await claim(partition, asked)
      hand.answered()
      take(result, consumer)
      deps.onClaimed()
      // A wake-up that overtook the answer, on another connection, is about a job that this claim may not have seen.
      if (wakes !== heard) mayClaim = true
    } catch (error) {
      hand.answered()
      mayClaim = false
      onClaimError(error, consumer)
    }
  }

  const take = (result: Claim, consumer: Consumer) => {
    jobs.beginDue()
    mayClaim = result.kind === 'claimed'
    if (result.kind === 'limited') alarm.in(result.waitMs)
    // Nothing of ours will end and make way for what is prefetched, or nothing may begin: others may come to it sooner.
    if (result.kind === 'paused' || (result.kind === 'full' && !jobs.isAtWork)) jobs.giveBack()
    if (result.kind !== 'claimed') return
    if (result.expired.length > 0) report.expired(result.expired)
    for (const job of result.jobs) report.waited(Math.max(0, result.nowMs - job.readyAtMs), job)
    jobs.start(result.jobs, consumer, result.starts)
  }

  const onClaimError = (error: unknown, consumer: Consumer) => {
    if (!isConnectionError(error)) logger.error({ event: 'claim.failed', queue: address, err: error }, 'claim failed')
    // Whether the answer was lost or the script stopped half way: jobs may be in hand that nobody knows.
    deps.onAmbiguousClaim(consumer, error)
    alarm.in(RETRY_MS)
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
    const say = (again: boolean) => jobs.say(consumer, again)
    const results = await settleSurely(partition, { consumer, address, attempts, say, logger })
    jobs.settled(consumer, attempts.length)
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
      if (next.limit < maker.limit) jobs.giveBack()
      maker = next
      wake()
    },
    adopt,
    takeOverSoon() {
      mayTakeOver = deps.takeOver !== undefined
      void turn()
    },
    cancel: (jobId) => jobs.cancel(jobId),
    drain() {
      draining = true
      jobs.end()
      maker.hurry?.()
      alarm.clear()
      return new Promise((resolve) => {
        onDrained = resolve
        if (jobs.count === 0 && !turning) resolve()
      })
    },
  }
}
