import type { FailureReason } from '@millrace/contracts'
import type { AttemptResult } from '@millrace/engine'

/** What a failed exchange is called in the log, in metrics and in the dead letter. */
export function failureOf(error: unknown, { started }: { started: boolean }): AttemptResult {
  const { code, name, message } = describe(error)
  // An answer that began and did not end may have come from a handler that finished: it is tried again all the same.
  const reason = started ? 'incomplete_response' : reasonOf(code, name)
  return { kind: 'failed', reason, error: code && !message.includes(code) ? `${message} (${code})` : message }
}

const REASONS: Record<string, FailureReason> = {
  ECONNREFUSED: 'connection_refused',
  ECONNRESET: 'connection_reset',
  EPIPE: 'connection_reset',
  UND_ERR_SOCKET: 'connection_reset',
  ENOTFOUND: 'dns',
  EAI_AGAIN: 'dns',
  ERR_TARGET_REFUSED: 'target_refused',
  UND_ERR_CONNECT_TIMEOUT: 'timeout',
  ETIMEDOUT: 'timeout',
}

function reasonOf(code: string, name: string): FailureReason {
  const known = REASONS[code]
  if (known) return known
  // What is no HTTP at all is a parser error without a code.
  if (name === 'HTTPParserError' || code.startsWith('UND_ERR_RES') || code === 'UND_ERR_HEADERS_OVERFLOW')
    return 'bad_response'
  if (/TLS|SSL|CERT|ALTNAME|SELF_SIGNED|UNABLE_TO/.test(code)) return 'tls'
  return 'network'
}

/** The error that matters: connecting to a name with several addresses fails with one error for all of them. */
function describe(error: unknown): { code: string; name: string; message: string } {
  const inner = error instanceof AggregateError ? (error.errors[0] ?? error) : error
  if (!(inner instanceof Error)) return { code: '', name: '', message: String(inner) }
  const { name, message } = inner
  return { code: String((inner as NodeJS.ErrnoException).code ?? ''), name, message: message || name }
}
