import { type DeliveryLog, logAttempt, type QueueReport } from '@millrace/delivery'
import { MillraceError } from '../errors.ts'
import type { AttemptReport, ConsumeOptions, PullLog } from './pull-options.ts'

type Tell = (error: MillraceError) => void

/** Faults of delivery go to `onError` as well as into the log; connection errors come by the dozen and are one kind. */
export function createDeliveryLog(log: PullLog | undefined, tell: Tell): DeliveryLog {
  const say = (level: 'debug' | 'info' | 'warn' | 'error') => (fields: Fields, message: string) =>
    guarded(tell, () => log?.[level](fields, message))
  const warn = say('warn')
  const error = say('error')
  return {
    debug: say('debug'),
    info: say('info'),
    warn(fields, message) {
      if (fields.event === 'redis.connection_error')
        tell(
          new MillraceError(`Redis: ${String(fields.error)}${fields.fix ? `. ${fields.fix}` : ''}`, {
            code: 'sdk.redis_unavailable',
          }),
        )
      warn(fields, message)
    },
    error(fields, message) {
      const { event, err } = fields
      tell(
        new MillraceError(`${message} (${String(event)}): ${String(err)}`, { code: 'sdk.delivery_failed', cause: err }),
      )
      error(fields, message)
    },
    isLevelEnabled: (level) => log?.isLevelEnabled?.(level) ?? false,
  }
}

/** What a pull consumer tells of its queue: to the caller's log and hook. */
export function createPullReport(address: string, queue: string, options: ConsumeOptions, tell: Tell): QueueReport {
  const { onAttempt, log } = options
  const attempt = (report: AttemptReport) => guarded(tell, () => onAttempt?.call(options, report))
  const nothing = () => undefined
  return {
    waited: nothing,
    inFlight: nothing,
    tookOver: nothing,
    expired: nothing,
    attempted: log
      ? (job, settlement, span) => guarded(tell, () => logAttempt(log, address, { job, settlement, span }))
      : nothing,
    settled: onAttempt
      ? (settlement, as) => {
          if (settlement.kind === 'leased') return
          attempt({
            queue,
            outcome: as === 'late' ? 'late' : settlement.kind,
            durationMs: settlement.durationMs,
            ...('reason' in settlement && { reason: settlement.reason }),
          })
        }
      : nothing,
    lost: () => attempt({ queue, outcome: 'lost', reason: 'lease_lost' }),
  }
}

type Fields = Readonly<Record<string, unknown>>

/** A hook of the caller's that throws must not stop delivery. */
function guarded(tell: Tell, hook: () => void): void {
  try {
    hook()
  } catch (error) {
    tell(new MillraceError(`A hook threw: ${String(error)}`, { code: 'sdk.hook_failed', cause: error }))
  }
}
