import { ProblemError } from '@millrace/contracts'
import { StoreError } from '../store/store-error.ts'

/** The database is locked, full or gone. What is emitted meanwhile waits in the log; only reading has to wait. */
export function storeProblem(error: unknown): ProblemError | undefined {
  if (!(error instanceof StoreError)) return undefined
  return new ProblemError('store.unavailable', `The audit store cannot be read now: ${error.message}.`, {
    retryAfterSeconds: 1,
    cause: error,
  })
}
