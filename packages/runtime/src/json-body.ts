import { isUtf8 } from 'node:buffer'
import { nestsDeeperThan, ProblemError, REQUEST_LIMITS } from '@millrace/contracts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { together } from './together.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** The JSON body as text, for payloads that are kept byte for byte. */
    rawBody: string
  }
}

/**
 * JSON bodies, parsed once and kept as text as well. Invalid UTF-8 is refused rather than replaced: a payload would
 * otherwise not be the one that was sent. No body at all counts as `{}`, so that a bare POST works.
 */
export function parseJsonBodies(server: FastifyInstance): void {
  server.removeAllContentTypeParsers()
  server.decorateRequest('rawBody', '')
  server.addContentTypeParser(
    /^application\/(?:[\w.+-]+\+)?json(?:$|;)/,
    { parseAs: 'buffer' },
    (request: FastifyRequest, body: Buffer, done) => parseSoon({ request, body, done }),
  )
  server.addHook('preValidation', (request, _reply, done) => {
    if (request.body === undefined && request.method !== 'GET') request.body = {}
    done()
  })
}

interface Body {
  readonly request: FastifyRequest
  readonly body: Buffer
  done(error: Error | null, value?: unknown): void
}

/** Requests that are read in one turn of the event loop are parsed, checked and handled at its end, all of them. */
const parseSoon = together<Body>(setImmediate, ({ request, body, done }) => {
  let value: unknown
  try {
    value = parse(request, body)
  } catch (error) {
    done(error as Error)
    return
  }
  done(null, value)
})

function parse(request: FastifyRequest, body: Buffer): unknown {
  if (body.length === 0) return {}
  if (!isUtf8(body)) throw new ProblemError('request.malformed_json', 'The body is not valid UTF-8.')
  const text = body.toString('utf8')
  request.rawBody = text
  const value = parseText(text)
  if (nestsDeeperThan(text, REQUEST_LIMITS.jsonLevels.value)) {
    const detail = `must not nest deeper than ${REQUEST_LIMITS.jsonLevels.value} levels`
    throw new ProblemError('request.invalid', `The body ${detail}.`, { errors: [{ pointer: '', detail }] })
  }
  return value
}

function parseText(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    throw new ProblemError('request.malformed_json', `The body could not be parsed: ${(error as Error).message}.`, {
      cause: error,
    })
  }
}
