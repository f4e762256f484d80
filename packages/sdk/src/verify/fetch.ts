import { MAX_BODY_BYTES, type MiddlewareOptions, type Refusal, readBody, refusalOf } from './body.ts'
import type { Secrets } from './secrets.ts'
import { createVerifier } from './verify.ts'

/** A function from `Request` to `Response`, as Bun, Deno, workers and many frameworks take it. */
export type FetchHandler<Rest extends unknown[]> = (request: Request, ...rest: Rest) => Response | Promise<Response>

/**
 * For handlers of `Request` and `Response`: what it gives back answers 401 itself and calls the handler with deliveries alone.
 *
 * ```ts
 * export default { fetch: verifyFetch(process.env.MILLRACE_SIGNING_SECRET, async (request) => new Response()) }
 * ```
 *
 * @throws MillraceError `sdk.invalid_input` when a secret is none.
 */
export function verifyFetch<Rest extends unknown[]>(
  secrets: Secrets | undefined,
  handler: FetchHandler<Rest>,
  options: MiddlewareOptions = {},
): (request: Request, ...rest: Rest) => Promise<Response> {
  const letIn = createRequestGate(secrets, options)
  return async (request, ...rest) => {
    const verified = await letIn(request)
    return verified instanceof Response ? verified : handler(verified, ...rest)
  }
}

/** For Hono: a middleware for the paths of the endpoints. */
export type HonoMiddleware = (
  context: { readonly req: { raw: Request } },
  next: () => Promise<void>,
) => Promise<Response | undefined>

/**
 * ```ts
 * app.use('/internal/*', verifyHono(process.env.MILLRACE_SIGNING_SECRET))
 * ```
 *
 * @throws MillraceError `sdk.invalid_input` when a secret is none.
 */
export function verifyHono(secrets: Secrets | undefined, options: MiddlewareOptions = {}): HonoMiddleware {
  const letIn = createRequestGate(secrets, options)
  return async ({ req }, next) => {
    const verified = await letIn(req.raw)
    if (verified instanceof Response) return verified
    req.raw = verified
    await next()
    return undefined
  }
}

/** The request again, with the bytes that were verified as its body; or how it is refused. */
function createRequestGate(
  secrets: Secrets | undefined,
  { maxBodyBytes = MAX_BODY_BYTES, ...options }: MiddlewareOptions,
): (request: Request) => Promise<Request | Response> {
  const check = createVerifier(secrets, options)
  return async (request) => {
    try {
      const body = await readBody(request.body, maxBodyBytes)
      check({ headers: request.headers, body })
      const { url, method, headers, signal } = request
      return new Request(url, { method, headers, signal, ...(body.length > 0 && { body: new Uint8Array(body) }) })
    } catch (error) {
      const refusal = refusalOf(error)
      if (!refusal) throw error
      return toResponse(refusal)
    }
  }
}

function toResponse({ status, type, body }: Refusal): Response {
  return new Response(body, { status, headers: { 'content-type': type } })
}
