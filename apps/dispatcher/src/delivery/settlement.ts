import type { Paused, Settlement } from '@millrace/streams'
import type { Attempted } from './attempt.ts'

/** What the scripts are told of an attempt. */
export function toSettlement({ outcome, durationMs, token, policy }: Attempted): Settlement {
  if (outcome.kind === 'leased') return { kind: 'leased', leaseMs: outcome.leaseMs, token, policy, durationMs }
  if (outcome.kind === 'succeeded') {
    const { kind, status, result } = outcome
    return { kind, status, durationMs, ...(result !== undefined && { result }) }
  }
  const { reason, lastResponse } = outcome
  const failure = { reason, lastResponse, durationMs }
  if (outcome.kind === 'retry' || outcome.kind === 'postpone') {
    return { kind: outcome.kind, delayMs: outcome.delayMs, ...failure }
  }
  return { kind: outcome.kind, ...failure }
}

/** Who pauses a queue whose response policy table says so, and why. */
export function pausedBy(settlement: Settlement, nowMs: number): Paused {
  const status = 'lastResponse' in settlement ? settlement.lastResponse.status : undefined
  const why = `the response policy says so for ${status ?? 'a request without an answer'}`
  return { who: 'response policy', why, at: new Date(nowMs).toISOString() }
}
