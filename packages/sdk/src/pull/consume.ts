import type { Handler } from './handler-attempts.ts'
import { type PullConsumer, startPullConsumer } from './pull-consumer.ts'
import { type ConsumeOptions, checkOptions } from './pull-options.ts'

/**
 * Take jobs of a queue that is declared with `delivery: pull` straight out of Redis, until closed.
 *
 * Returns at once and connects by itself, as often as needed: a Redis that is away, a platform that was never started, a queue
 * that is not declared yet are told to `onError`, and waited for.
 *
 * ```ts
 * const consumer = consume('resize-image', async (job) => resize(job.data, job.signal), {
 *   redis: 'redis://127.0.0.1:6379', namespace: 'shop', concurrency: 20,
 * })
 * process.once('SIGTERM', () => consumer.close())
 * ```
 *
 * @throws MillraceError `sdk.invalid_input` when an option makes no sense.
 */
export function consume<Data = unknown>(queue: string, handler: Handler<Data>, options: ConsumeOptions): PullConsumer {
  checkOptions({ queue, handler }, options)
  return startPullConsumer({ source: { kind: 'queue', name: queue }, handler: handler as Handler, options })
}
