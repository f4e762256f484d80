import type { IncomingHttpHeaders } from 'node:http'
import { Readable } from 'node:stream'
import { MAX_BODY_BYTES, type MiddlewareOptions, readBody, refusalOf } from './body.ts'
import type { Secrets } from './secrets.ts'
import { createVerifier } from './verify.ts'

interface FastifyReply {
  code(status: number): FastifyReply
  type(contentType: string): FastifyReply
  send(payload: string): FastifyReply
}

/** A hook of Fastify that stands between a request and whatever parses its body. */
export type FastifyHook = (
  request: { readonly headers: IncomingHttpHeaders },
  reply: FastifyReply,
  payload: AsyncIterable<Uint8Array | string>,
) => Promise<unknown>

/**
 * For Fastify: it holds in the scope where it is added, so add it where the endpoints are.
 *
 * ```ts
 * app.register(async (internal) => {
 *   internal.addHook('preParsing', verifyFastify(process.env.MILLRACE_SIGNING_SECRET))
 *   internal.post('/internal/jobs/mail', handler)
 * })
 * ```
 *
 * @throws MillraceError `sdk.invalid_input` when a secret is none.
 */
export function verifyFastify(
  secrets: Secrets | undefined,
  { maxBodyBytes = MAX_BODY_BYTES, ...options }: MiddlewareOptions = {},
): FastifyHook {
  const check = createVerifier(secrets, options)
  return async ({ headers }, reply, payload) => {
    try {
      const bytes = await readBody(payload, maxBodyBytes)
      check({ headers, body: bytes })
      // Fastify compares what it reads with this, where the stream is not the request's own.
      return Object.assign(Readable.from([bytes], { objectMode: false }), { receivedEncodedLength: bytes.length })
    } catch (error) {
      const refusal = refusalOf(error)
      if (!refusal) throw error
      return reply.code(refusal.status).type(refusal.type).send(refusal.body)
    }
  }
}
