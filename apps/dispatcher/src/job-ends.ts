import type { FailureReason } from '@millrace/contracts'
import type { Logger } from '@millrace/runtime'
import { splitAddress } from '@millrace/streams'
import type { DispatcherMetrics } from './metrics.ts'

/** A job that came to its end otherwise than by an attempt of this dispatcher. */
export interface JobEnd {
  readonly address: string
  readonly jobId: string
  readonly outcome: 'succeeded' | 'dead' | 'cancelled' | 'expired'
  /** Of a dead one. */
  readonly reason?: FailureReason
}

export interface JobEndDeps {
  readonly metrics: Pick<DispatcherMetrics, 'finished' | 'deadLetters'>
  readonly logger: Logger
}

const LEVELS = { succeeded: 'debug', dead: 'error', cancelled: 'info', expired: 'info' } as const
const TEXTS = {
  succeeded: 'its worker completed the job',
  dead: 'job is a dead letter',
  cancelled: 'job cancelled',
  expired: 'job expired before it was started',
} as const

/** Count and log it, like the end of an attempt. */
export function reportEnd({ metrics, logger }: JobEndDeps, { address, jobId, outcome, reason }: JobEnd): void {
  const labels = splitAddress(address)
  metrics.finished.inc({ ...labels, outcome })
  if (outcome === 'dead' && reason !== undefined) metrics.deadLetters.inc({ ...labels, reason })
  const fields = { event: `job.${outcome}`, jobId, queue: address, ...(reason !== undefined && { reason }) }
  logger[LEVELS[outcome]](fields, TEXTS[outcome])
}
