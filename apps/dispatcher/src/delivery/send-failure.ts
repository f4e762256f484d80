import type { FailureReason } from '@millrace/contracts'
import type { AttemptResult } from '@millrace/engine'

/** What a failed exchange is called in the log, in metrics and in the dead letter. */
export function failureOf(error: unknown, { started }: { started: boolean }): AttemptResult {
  const { code, message } = describe(error)
  // An answer that began and did not end may have come from a handler that finished: it is tried again all the same.
  const reason = started ? 'incomplete_response' : reasonOf(code)
  return { kind: 'failed', reason, error: code && !message.includes(code) ? `${message} (${code})` : message }
}

const REASONS: Record<string, FailureReason> = {
  ECONNREFUSED: 'connection_refused',
  ECONNRESET: 'connection_reset',
  EPIPE: 'connection_reset',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  ERR_TARGET_REFUSED: 'target_refused',
  ERR_BAD_ANSWER: 'bad_response',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  ETIMEDOUT: 'timeout',
}

function reasonOf(code: string): FailureReason {
  const known = REASONS[code]
  if (known) return known
  if (/TLS|SSL|CERT|ALTNAME|SELF_SIGNED|UNABLE_TO/.test(code)) return 'tls'
  return 'network'
}

/** The error that matters: connecting to a name with several addresses fails with one error for all of them. */
function describe(error: unknown): { code: string; message: string } {
  const inner = error instanceof AggregateError ? (error.errors[0] ?? error) : error
  if (!(inner instanceof Error)) return { code: '', message: String(inner) }
  const { name, message } = inner
  return { code: String((inner as NodeJS.ErrnoException).code ?? ''), message: message || name }
}
