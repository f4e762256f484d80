/**
 * What a service imports to talk to Millrace. Enqueueing, publishing and auditing use the global `fetch` and load
 * nothing else but OpenTelemetry's API, and the changes of read models a parser of events; `consume` and `subscribe` load a Redis client when they are first called.
 *
 * ```ts
 * import { createQueue, MillraceError, Septor } from '@millrace/sdk'
 *
 * const queue = createQueue({ url: 'http://127.0.0.1:7401', namespace: 'billing' })
 * try {
 *   const { id } = await queue.enqueue('send-invoice', { invoiceId: 'inv_1' }, { idempotencyKey: 'inv_1', delayMs: 5_000 })
 *   console.log(`accepted as ${id}`)
 * } catch (error) {
 *   if (error instanceof MillraceError) console.error(error.code, error.message)
 * }
 *
 * const septor = new Septor({ apiUrl: 'http://127.0.0.1:7403', namespace: 'billing' })
 * septor
 *   .emit('invoice.sent', { entityId: 'inv_1', data: { cents: 4200 }, metadata: { who: 'invoice-worker' } })
 *   .catch((error) => console.error('not in the audit trail', error))
 * await septor.flush(5_000) // at shutdown
 *
 * for await (const { row } of septor.changes({ models: ['jobs'], state: 'dead' })) console.log(`${row.id} is dead`)
 * ```
 */
export type {
  AuditEvent,
  ChainResult,
  ChainVerdict,
  CountResult,
  EmitDetails,
  EmitResult,
  EventFilter,
  QueryResult,
  VerifyResult,
} from './audit-events.ts'
export type { Backoff } from './backoff.ts'
export type { Change, ChangeFilter, ChangeKind, ChangeModel } from './changes.ts'
export type { FlushResult } from './emit-buffer.ts'
export { MillraceError, type Problem } from './errors.ts'
export {
  createPublisher,
  type EventToPublish,
  type PublishedEvent,
  type Publisher,
  type PublisherOptions,
} from './publisher.ts'
export { consume } from './pull/consume.ts'
export type { Handler } from './pull/handler-attempts.ts'
export { NoRetry, RetryAfter, type RetryAfterOptions } from './pull/handler-errors.ts'
export type { Job, JobProgress } from './pull/job.ts'
export type { PullConsumer } from './pull/pull-consumer.ts'
export type { AttemptReport, ConsumeOptions, PullLog } from './pull/pull-options.ts'
export { type EventHandler, type ReceivedEvent, subscribe } from './pull/subscribe.ts'
export type { EventFilterDialect, RetryBackoff, StartRate, SubscriptionFields } from './pull/subscription-fields.ts'
export { createQueue, type Enqueued, type EnqueueOptions, type Queue, type QueueOptions } from './queue.ts'
export { Septor, type SeptorOptions } from './septor.ts'
export { type DeliveredTo, type DeliveryRequest, traceDelivery } from './traces/trace-delivery.ts'
export type { MiddlewareOptions } from './verify/body.ts'
export { type ExpressMiddleware, type ExpressRequest, verifyExpress } from './verify/express.ts'
export { type FastifyHook, verifyFastify } from './verify/fastify.ts'
export { type FetchHandler, type HonoMiddleware, verifyFetch, verifyHono } from './verify/fetch.ts'
export type { Secrets } from './verify/secrets.ts'
export { type SignedRequest, type Verified, type VerifyOptions, verify } from './verify/verify.ts'
