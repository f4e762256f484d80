import { MillraceError } from '../errors.ts'
import type { Handler } from './handler-attempts.ts'
import type { Job } from './job.ts'
import { type PullConsumer, startPullConsumer } from './pull-consumer.ts'
import { type ConsumeOptions, checkOptions } from './pull-options.ts'
import type { SubscriptionFields } from './subscription-fields.ts'

/** A CloudEvent 1.0 in the JSON format. Extensions stand beside the attributes. */
export interface ReceivedEvent<Data = unknown> {
  readonly specversion: '1.0'
  readonly id: string
  readonly source: string
  readonly type: string
  readonly subject?: string
  /** RFC 3339. */
  readonly time?: string
  readonly datacontenttype?: string
  readonly dataschema?: string
  readonly data?: Data
  /** Data that is neither JSON nor text. */
  readonly data_base64?: string
  readonly [extension: string]: unknown
}

/**
 * Does the work of one event. Returns: acknowledged. Throws `RetryAfter(ms)`: again, not before that. Throws `NoRetry`: a dead letter
 * now. Throws anything else: again as the subscription says. `job.extend(ms)` asks for more time.
 */
export type EventHandler<Data = unknown> = (event: ReceivedEvent<Data>, job: Job<ReceivedEvent<Data>>) => unknown

/**
 * Take the events that match a filter straight out of Redis, until closed: each of them once for each group, however many
 * processes the group has, at least once when they die.
 *
 * The group is a subscription of the service, made when it is first named here, changed when another filter comes with
 * it, and kept when nobody consumes it: what is published meanwhile waits. Where the manifest declares the subscription, with
 * `delivery: pull`, the filter is `undefined`.
 *
 * ```ts
 * const subscriber = subscribe('mail-receipts', { types: ['order.paid'], startFrom: 'earliest' }, async (event) => {
 *   await sendReceipt(event.subject, event.data)
 * }, { redis: 'redis://127.0.0.1:6379', namespace: 'shop' })
 * process.once('SIGTERM', () => subscriber.close())
 * ```
 *
 * Returns at once, as `consume` does, and takes the same options. `ready` rejects, and nothing is tried again, when the filter makes no
 * sense (`sdk.invalid_input`, with every mistake) or the manifest declares the subscription (`subscription.declared`).
 *
 * @param filter a type such as `order.*`, several, or the fields of a subscription
 * @throws MillraceError `sdk.invalid_input` when an option makes no sense.
 */
export function subscribe<Data = unknown>(
  group: string,
  filter: string | readonly string[] | SubscriptionFields | undefined,
  handler: EventHandler<Data>,
  options: ConsumeOptions,
): PullConsumer {
  checkOptions({ group, handler }, options)
  const declares = fieldsOf(filter)
  const onJob: Handler<ReceivedEvent<Data>> = (job) => handler(job.data, job)
  const source = { kind: 'subscription' as const, name: group, ...(declares && { declares }) }
  return startPullConsumer({ source, handler: onJob as Handler, options })
}

function fieldsOf(filter: unknown): SubscriptionFields | undefined {
  if (filter === undefined) return undefined
  if (typeof filter === 'string') return { types: [filter] }
  if (Array.isArray(filter)) return { types: filter }
  if (typeof filter === 'object' && filter !== null) return filter
  const message = `filter must be a type, a list of types, the fields of a subscription, or undefined, got ${String(filter)}`
  throw new MillraceError(message, { code: 'sdk.invalid_input' })
}
