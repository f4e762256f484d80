/**
 * The delivery engine: a lease on a partition, takeover, and for each queue turns of settling and claiming. How an attempt
 * is made is passed in, so that a dispatcher (HTTP) and a pull consumer (a function) deliver by the same rules.
 *
 * ```ts
 * const delivery = await startPartitionDelivery({
 *   ...{ partition, partitions, registry, subscriber, logger, leaseMs: 6000 },
 *   makerOf: (queue) => createHttpAttempts(queue),
 *   reportOf: (address) => createQueueReport(address),
 *   onLeaseLost: () => undefined,
 * })
 * await delivery.drain(25_000)
 * ```
 */
export type {
  Attempt,
  Attempted,
  AttemptMaker,
  DeliveryLog,
  EndReason,
  LogFields,
  QueueReport,
  SpanIds,
} from './attempt.ts'
export { logAttempt } from './attempt-log.ts'
export { type Consumer, type ConsumerOptions, joinPartition } from './consumer.ts'
export {
  type MakerContext,
  type PartitionDelivery,
  type PartitionDeliveryDeps,
  startPartitionDelivery,
} from './partition-delivery.ts'
export { createProgressLog, type JobHome, type ProgressDeps, type ProgressLog } from './progress-log.ts'
export { createQueueRunner, type QueueRunner, type QueueRunnerDeps } from './queue-runner.ts'
export { Slots } from './slots.ts'
