import { ProblemError } from '@millrace/contracts'
import { isConnectionError, isOutOfMemory } from '@millrace/streams'

/** What somebody is told whose event could not be put into the log. */
export function logProblem(error: unknown): unknown {
  if (isOutOfMemory(error)) {
    return new ProblemError('store.full', 'Redis has no memory left; the event was not accepted.', {
      retryAfterSeconds: 5,
      cause: error,
    })
  }
  if (!isConnectionError(error)) return error
  return new ProblemError(
    'store.unavailable',
    'Redis cannot be reached. Whether the event was accepted is not known: send it again with the same Idempotency-Key.',
    { retryAfterSeconds: 1, cause: error },
  )
}
