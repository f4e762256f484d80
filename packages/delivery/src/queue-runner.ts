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
} from '@millrace/streams'
import { Alarm } from './alarm.ts'
import type { Attempt, Attempted, AttemptMaker, DeliveryLog, QueueReport } from './attempt.ts'
import type { Consumer } from './consumer.ts'
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
  readonly jobs: readonly ClaimedJob[]
  readonly by: Consumer
}

export interface QueueRunner {
  readonly address: string
  update(maker: AttemptMaker): void
  /** There may be work: claim now. */
  wake(): void
  /** Deliver jobs that were taken over. */
  adopt(jobs: readonly ClaimedJob[], consumer: Consumer): void
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

/**
 * Delivers one queue in this process.
 *
 * One turn at a time: settle what has finished and claim what that freed, both sent together, so a busy queue costs one
 * round trip for many jobs. A turn follows a turn as long as there is something to settle or to claim; after `empty` the
 * queue sleeps until a wake-up, after `full` until something of its own is settled or the next sweep, and while a circuit
 * is open until the next probe: its jobs stay in their lane meanwhile and burn no attempt.
 */
export function createQueueRunner(address: string, first: AttemptMaker, deps: QueueRunnerDeps): QueueRunner {
  const { partition, report, logger } = deps
  const running = new Slots<Running>()
  const watched = new WeakSet<Consumer>()
  const finished: Finished[] = []
  const cancels = new RecentCancels()
  let maker = first
  let inFlight = 0
  let mayClaim = false
  let wakes = 0
  let turning = false
  let turnIsNear = false
  let mayTakeOver = false
  let draining = false
  let onDrained: (() => void) | undefined
  const alarm = new Alarm(() => wake())

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
      await Promise.all([settleBatch(batch), want > 0 ? claimSome(want) : undefined])
      if (slotsToTakeOver() > 0) await takeOverSome(slotsToTakeOver())
    }
    turning = false
    if (draining && inFlight === 0) onDrained?.()
  }

  /** How many jobs to claim now, when so many slots are being freed. */
  const wanted = (freed = 0): number => {
    if (!mayClaim || mayTakeOver || draining) return 0
    const free = maker.limit - inFlight + freed
    const room = maker.room()
    const roomInMs = room <= 0 ? maker.roomInMs() : undefined
    if (roomInMs !== undefined) alarm.in(roomInMs)
    return Math.min(free, room)
  }

  const slotsToTakeOver = () => (mayTakeOver && !draining ? maker.limit - inFlight : 0)

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

  const adopt = (jobs: readonly ClaimedJob[], consumer: Consumer) => {
    report.tookOver(jobs.length)
    start(jobs, consumer)
  }

  const claimSome = async (want: number) => {
    const consumer = deps.consumer()
    if (!consumer) {
      mayClaim = false
      return
    }
    const heard = wakes
    const { concurrency } = maker.definition
    try {
      take(await claim(partition, { consumer: consumer.name, address, concurrency, want }), consumer)
      deps.onClaimed()
      // A wake-up that overtook the answer, on another connection, is about a job that this claim may not have seen.
      if (wakes !== heard) mayClaim = true
    } catch (error) {
      mayClaim = false
      await onClaimError(error, consumer)
    }
  }

  const take = (result: Claim, consumer: Consumer) => {
    mayClaim = result.kind === 'claimed'
    if (result.kind === 'limited') alarm.in(result.waitMs)
    if (result.kind !== 'claimed') return
    if (result.expired.length > 0) report.expired(result.expired)
    for (const job of result.jobs) report.waited(Math.max(0, result.nowMs - parsePosition(job.entryId).ms), job)
    start(result.jobs, consumer)
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

  const start = (jobs: readonly ClaimedJob[], consumer: Consumer) => {
    inFlight += jobs.length
    consumer.hold(jobs.length)
    report.inFlight(inFlight)
    endWith(consumer)
    for (const job of jobs) begin(job, consumer)
  }

  /** Attempts of a term that is over are ended: their settles would be refused. */
  const endWith = (consumer: Consumer) => {
    if (watched.has(consumer)) return
    watched.add(consumer)
    consumer.lost.addEventListener('abort', () => {
      for (const item of running.values()) if (item.consumer === consumer) item.attempt?.end('lost')
    })
  }

  const begin = (job: ClaimedJob, consumer: Consumer) => {
    const item: Running = { job, consumer, slot: 0, attempt: undefined }
    item.slot = running.add(item)
    item.attempt = maker.begin(job, (attempted) => onEnd(item, attempted))
    if (cancels.take(job.id)) item.attempt.end('cancelled')
  }

  const onEnd = (item: Running, { settlement, pause, span }: Attempted) => {
    const { job, consumer } = item
    running.remove(item.slot)
    if (consumer.lost.aborted) return drop(consumer)
    report.attempted(job, settlement, span)
    finished.push({ job, settlement, consumer, pause })
    turnSoon()
  }

  /** Somebody else has the job now. */
  const drop = (consumer: Consumer) => {
    consumer.release(1)
    inFlight--
    report.inFlight(inFlight)
    report.lost()
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
    const results = await settleSurely(partition, { consumer, address, attempts, logger })
    inFlight -= attempts.length
    consumer.release(attempts.length)
    report.inFlight(inFlight)
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
      else cancels.add(jobId)
    },
    drain() {
      draining = true
      maker.hurry?.()
      alarm.clear()
      return new Promise((resolve) => {
        onDrained = resolve
        if (inFlight === 0 && !turning) resolve()
      })
    },
  }
}
