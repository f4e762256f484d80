import type { IncomingMessage, ServerResponse } from 'node:http'
import { MillraceError } from '../errors.ts'
import { isJson, MAX_BODY_BYTES, type MiddlewareOptions, type Refusal, readBody, refusalOf } from './body.ts'
import type { Secrets } from './secrets.ts'
import { createVerifier } from './verify.ts'

/** What Express adds to Node's request; `body` is JSON parsed, or the bytes where it is none. */
export type ExpressRequest = IncomingMessage & { body?: unknown; rawBody?: Buffer }
export type ExpressMiddleware = (
  request: ExpressRequest,
  response: ServerResponse,
  next: (error?: unknown) => void,
) => void

/**
 * For Express and whatever else has its middlewares. It reads the body itself, and leaves `body` parsed and the bytes in
 * `rawBody`: mount it before `express.json()`, which then finds nothing left to do.
 *
 * ```ts
 * app.use('/internal', verifyExpress(process.env.MILLRACE_SIGNING_SECRET))
 * ```
 *
 * @throws MillraceError `sdk.invalid_input` when a secret is none.
 */
export function verifyExpress(
  secrets: Secrets | undefined,
  { maxBodyBytes = MAX_BODY_BYTES, ...options }: MiddlewareOptions = {},
): ExpressMiddleware {
  const check = createVerifier(secrets, options)
  const letIn = async (request: ExpressRequest) => {
    const bytes = await bytesOf(request, maxBodyBytes)
    check({ headers: request.headers, body: bytes })
    request.rawBody = bytes
    const isParsed = bytes.length > 0 && isJson(request.headers['content-type'])
    request.body = isParsed ? JSON.parse(bytes.toString()) : bytes
  }
  return (request, response, next) => {
    letIn(request).then(
      () => next(),
      (error) => {
        const refusal = refusalOf(error)
        if (refusal) refuse(response, refusal)
        else next(error)
      },
    )
  }
}

/** `express.raw()` may have read it before; anything that parses has thrown the bytes away. */
async function bytesOf(request: ExpressRequest, maxBodyBytes: number): Promise<Buffer> {
  if (Buffer.isBuffer(request.body)) return request.body
  if (request.body === undefined) return readBody(request, maxBodyBytes)
  throw new MillraceError('The body was parsed before it was verified: mount verifyExpress before express.json().', {
    code: 'sdk.invalid_input',
  })
}

function refuse(response: ServerResponse, { status, type, body }: Refusal): void {
  // The rest of a body that is too large is not read, so the connection cannot be used again.
  response.writeHead(status, { 'content-type': type, ...(status === 413 && { connection: 'close' }) }).end(body)
}
