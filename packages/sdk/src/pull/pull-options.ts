import { readRedisUrl } from '@millrace/contracts/redis-url'
import { MillraceError } from '../errors.ts'

/** What a pino logger has; `debug` is called only while `isLevelEnabled('debug')` says so. */
export interface PullLog {
  debug(fields: Readonly<Record<string, unknown>>, message: string): void
  info(fields: Readonly<Record<string, unknown>>, message: string): void
  warn(fields: Readonly<Record<string, unknown>>, message: string): void
  error(fields: Readonly<Record<string, unknown>>, message: string): void
  isLevelEnabled?(level: string): boolean
}

/** One attempt that ended, for metrics: the words are those of `millrace_delivery_attempts_total`. */
export interface AttemptReport {
  readonly queue: string
  readonly outcome: 'succeeded' | 'retry' | 'postpone' | 'dead' | 'cancelled' | 'late' | 'lost'
  readonly reason?: string
  /** How long the handler took; not known of a job that was lost. */
  readonly durationMs?: number
}

export interface ConsumeOptions {
  /** The Redis that the platform runs on, as its `REDIS_URL` has it: one server, a cluster, or one behind sentinels. */
  readonly redis: string
  /** The service that declared the queue. */
  readonly namespace: string
  /** Jobs under way at once in this process; the queue's own `concurrency`, over all processes, unless told. */
  readonly concurrency?: number
  /** Aborting it closes the consumer, as `close()` does. */
  readonly signal?: AbortSignal
  /**
   * After so many ms of silence the consumer is taken for dead and its jobs go to another; 6,000 unless told, 500 to 60,000.
   * A handler that holds the event loop up for longer loses its jobs.
   */
  readonly leaseMs?: number
  /** How long closing waits for handlers before their jobs are handed back; 25,000 ms unless told. */
  readonly closeTimeoutMs?: number
  /** Hears of what goes wrong around the handlers, again each time; without it each kind is printed once with `console.error`. */
  onError?(error: MillraceError): void
  /** Hears of each attempt that ended. */
  onAttempt?(report: AttemptReport): void
  /**
   * In a service that is traced: `joined`, and the work of a job is in the trace that created it; or `linked`, and each attempt is a
   * trace of its own with a link. `joined` unless told.
   */
  readonly traces?: 'joined' | 'linked'
  /** The same log events as a dispatcher's; nothing is logged without it. */
  readonly log?: PullLog
}

/** @throws MillraceError naming the option, what was expected and what was got. */
export function checkOptions(of: Readonly<Record<string, unknown>>, options: ConsumeOptions): void {
  const refuse = (field: string, expected: string, got: unknown): never => {
    throw new MillraceError(`${field} must be ${expected}, got ${String(got)}`, { code: 'sdk.invalid_input' })
  }
  const { handler, ...named } = of
  for (const [field, name] of Object.entries(named))
    if (typeof name !== 'string' || name === '') refuse(field, 'a name', name)
  if (typeof handler !== 'function') refuse('handler', 'a function', handler)
  const { redis, namespace, concurrency = 1, leaseMs = 6000, closeTimeoutMs = 0, traces = 'joined' } = options
  const address = readRedisUrl(redis)
  if (address.kind === 'refused') refuse('redis', `a URL of Redis: ${address.reason}`, redis)
  if (typeof namespace !== 'string' || namespace === '') refuse('namespace', 'the name of the service', namespace)
  if (!Number.isInteger(concurrency) || concurrency < 1) refuse('concurrency', 'a whole number from 1', concurrency)
  if (!(leaseMs >= 500 && leaseMs <= 60_000)) refuse('leaseMs', '500 to 60,000 ms', leaseMs)
  if (traces !== 'joined' && traces !== 'linked') refuse('traces', 'joined or linked', traces)
  if (!(closeTimeoutMs >= 0)) refuse('closeTimeoutMs', 'milliseconds, 0 or more', closeTimeoutMs)
}
