import { z } from 'zod'

/**
 * Every error that leaves an API, by code: RFC 9457 problem documents. The code is the contract, the title its
 * fixed reading, the status the HTTP mapping; `detail` says what happened this time.
 */
export const PROBLEMS = {
  'request.malformed_json': { status: 400, title: 'The body is not valid JSON' },
  'request.invalid': { status: 422, title: 'The request does not fit its schema' },
  'request.too_large': { status: 413, title: 'The body is larger than the limit' },
  'request.unsupported_media_type': { status: 415, title: 'The content type is not supported' },
  'request.malformed': { status: 400, title: 'The request is no HTTP' },
  'request.timeout': { status: 408, title: 'The request took too long to arrive' },
  'request.headers_too_large': { status: 431, title: 'The headers are larger than the limit' },
  'request.rate_limited': { status: 429, title: 'Too many requests' },
  'request.busy': { status: 503, title: 'Too much is being received' },
  'request.not_found': { status: 404, title: 'There is no such route' },
  'manifest.invalid': { status: 422, title: 'The manifest was refused' },
  'service.unknown': { status: 404, title: 'No service with this namespace is registered' },
  'service.no_url': { status: 422, title: 'The service has no URL' },
  'target.refused': { status: 422, title: 'Deliveries may not go to this address' },
  'auth.required': { status: 401, title: 'A key or a token is needed' },
  'auth.invalid': { status: 401, title: 'The key or the token is not valid' },
  'auth.forbidden': { status: 403, title: 'The key or the token does not allow this' },
  'auth.unavailable': { status: 503, title: 'The keys of the token issuer cannot be read' },
  'key.unknown': { status: 404, title: 'There is no such API key' },
  'key.revoked': { status: 409, title: 'The API key was revoked' },
  'secret.unknown': { status: 404, title: 'The namespace has no such signing secret' },
  'secret.rotating': { status: 409, title: 'The rotation before has not ended' },
  'secret.last': { status: 409, title: 'It is the only secret that deliveries are signed with' },
  'secret.unreadable': { status: 409, title: 'The secret is sealed with a master key that this process does not have' },
  'queue.unknown': { status: 404, title: 'The service has no such queue' },
  'queue.closing': { status: 409, title: 'The queue is no longer declared and is being drained' },
  'queue.draining': { status: 503, title: 'The queue is being drained and takes no new jobs' },
  'schedule.unknown': { status: 404, title: 'The service has no such schedule' },
  'schedule.declared_paused': { status: 409, title: 'The manifest says that the schedule is paused' },
  'backfill.unknown': { status: 404, title: 'There is no such backfill' },
  'backfill.conflict': { status: 409, title: 'The backfill id was used for another backfill' },
  'backfill.running': { status: 409, title: 'Another backfill of the schedule is at work on the same times' },
  'job.not_waiting': { status: 409, title: 'The job is past the point where this can be done' },
  'job.not_held': { status: 409, title: 'The worker does not hold the job (any more)' },
  'queue.purge_token': { status: 409, title: 'The purge token is not, or no longer, valid' },
  'batch.refused': { status: 409, title: 'A job of the atomic batch was refused, so none was accepted' },
  'job.unknown': { status: 404, title: 'There is no such job' },
  'redrive.unknown': { status: 404, title: 'There is no such redrive' },
  'redrive.conflict': { status: 409, title: 'The redrive id was used for another redrive' },
  'event.schema_mismatch': { status: 422, title: 'The data of the event does not fit its schema' },
  'subscription.unknown': { status: 404, title: 'There is no such subscription' },
  'subscription.declared': { status: 409, title: 'The subscription is declared in a manifest' },
  'subscription.exists': { status: 409, title: 'There is a subscription of this name' },
  'replay.unknown': { status: 404, title: 'There is no such replay' },
  'history.missing': { status: 422, title: 'The log no longer reaches so far back' },
  'history.unavailable': { status: 503, title: 'Older events cannot be read now' },
  'idempotency.conflict': { status: 409, title: 'The idempotency key was used with another body' },
  'entity.unknown': { status: 404, title: 'Nothing was ever recorded of this entity' },
  'hold.unknown': { status: 404, title: 'There is no such legal hold' },
  'stream.too_many': { status: 503, title: 'Too many streams are open' },
  'store.full': { status: 503, title: 'Redis has no memory left for new work' },
  'store.unavailable': { status: 503, title: 'The store cannot be reached' },
  internal: { status: 500, title: 'Something failed that should not have' },
} as const
export type ProblemCode = keyof typeof PROBLEMS

export interface FieldError {
  readonly pointer: string
  readonly detail: string
  readonly line?: number
}

export const problemSchema = z.object({
  type: z.string(),
  title: z.string(),
  status: z.int(),
  detail: z.string(),
  code: z.string(),
  errors: z.array(z.object({ pointer: z.string(), detail: z.string(), line: z.int().optional() })).optional(),
})
export type Problem = z.infer<typeof problemSchema>

/** Thrown where a request must be refused; the HTTP server turns it into its problem document. */
export class ProblemError extends Error {
  readonly code: ProblemCode
  readonly errors: readonly FieldError[] | undefined
  readonly retryAfterSeconds: number | undefined

  constructor(
    code: ProblemCode,
    detail: string,
    options: { errors?: readonly FieldError[]; retryAfterSeconds?: number; cause?: unknown } = {},
  ) {
    super(detail, { cause: options.cause })
    this.name = 'ProblemError'
    this.code = code
    this.errors = options.errors
    this.retryAfterSeconds = options.retryAfterSeconds
  }

  toProblem(): Problem {
    const { status, title } = PROBLEMS[this.code]
    const errors = this.errors?.map((error) => ({ ...error }))
    return {
      type: `urn:millrace:problem:${this.code}`,
      title,
      status,
      detail: this.message,
      code: this.code,
      ...(errors && { errors }),
    }
  }
}

/** A zod failure as field errors with JSON pointers. */
export function fieldErrors(error: z.ZodError): FieldError[] {
  return error.issues.flatMap((issue) => {
    if (issue.code === 'unrecognized_keys') {
      return issue.keys.map((key) => ({ pointer: toPointer([...issue.path, key]), detail: 'is not a known field' }))
    }
    return [{ pointer: toPointer(issue.path), detail: issue.message }]
  })
}

export function toPointer(path: readonly PropertyKey[]): string {
  return path.map((part) => `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`).join('')
}
