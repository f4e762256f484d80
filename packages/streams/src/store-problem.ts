import { ProblemError } from '@millrace/contracts'
import { isConnectionError, isOutOfMemory } from './connection.ts'
import { NotReplicatedError } from './replicas.ts'

/** What a request is told when Redis could not do its part; undefined for errors that are not Redis's. */
export function toStoreProblem(error: unknown): ProblemError | undefined {
  if (isOutOfMemory(error)) {
    return new ProblemError(
      'store.full',
      'Redis has reached maxmemory and takes no new work; what was accepted goes on. Raise maxmemory or let queues drain.',
      {
        retryAfterSeconds: 5,
        cause: error,
      },
    )
  }
  if (error instanceof NotReplicatedError) {
    return new ProblemError(
      'store.unavailable',
      `It is written, and a failover could lose it: ${error.message}. Send it again with the same Idempotency-Key.`,
      { retryAfterSeconds: 1, cause: error },
    )
  }
  if (!isConnectionError(error)) return undefined
  return new ProblemError(
    'store.unavailable',
    'Redis cannot be reached, so the request may or may not have been carried out. Send it again with the same Idempotency-Key.',
    { retryAfterSeconds: 1, cause: error },
  )
}
