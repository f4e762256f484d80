import type { Server as HttpServer } from 'node:http'
import type { Socket } from 'node:net'
import { PROBLEMS, type ProblemCode, ProblemError, REQUEST_LIMITS } from '@millrace/contracts'
import type { FastifyInstance } from 'fastify'

/** How long a client may take, and how much may be held for all of them; the usual ones are `REQUEST_LIMITS`. */
export interface ConnectionLimits {
  readonly headersMs: number
  readonly requestMs: number
  readonly idleMs: number
  /** How often connections are looked at for the times above. */
  readonly lookMs: number
  readonly heldBodyBytes: number
}

const { headerBytes, headersMs, requestMs, idleMs, heldBodyBytes } = REQUEST_LIMITS
export const USUAL_LIMITS: ConnectionLimits = {
  headersMs: headersMs.value,
  requestMs: requestMs.value,
  idleMs: idleMs.value,
  lookMs: 1000,
  heldBodyBytes: heldBodyBytes.value,
}

/** What fastify and Node are told, so that a slow client costs a bounded time. */
export function connectionOptions({ headersMs, requestMs, idleMs, lookMs }: ConnectionLimits) {
  return {
    requestTimeout: requestMs,
    connectionTimeout: idleMs,
    http: { maxHeaderSize: headerBytes.value, headersTimeout: headersMs, connectionsCheckingInterval: lookMs },
    clientErrorHandler: refuseClient,
  }
}

/** Looks within the time that a connection may be idle. The limit is by one of them later, and every ten seconds wakes nobody much. */
const LOOKS_WHILE_IDLE = 60

/**
 * Node's limit for a connection on which nothing moves, for those that are in use at a look, which are few. Node itself would set it
 * anew for every request, and move it with all that is read and written: a thirtieth of what a small request takes. Between two
 * requests the shorter limit of a connection that is kept open stands, and takes this one's place.
 */
export function limitIdleConnections(server: HttpServer, { idleMs }: ConnectionLimits): void {
  // Takes back what fastify has set from `connectionTimeout`, which its further servers keep: it makes one for each address of `localhost`.
  server.setTimeout(0)
  const open = new Set<Socket>()
  server.on('connection', (socket: Socket) => {
    open.add(socket)
    socket.once('close', () => open.delete(socket))
  })
  const looking = setInterval(() => {
    for (const socket of open) if (!socket.timeout) socket.setTimeout(idleMs)
  }, idleMs / LOOKS_WHILE_IDLE).unref()
  server.once('close', () => clearInterval(looking))
}

interface ClientSocket {
  readonly writable: boolean
  end(text: string): void
  destroy(): void
}

/** What is no request never becomes one with a reply; its refusal is written by hand. */
function refuseClient(error: Error & { code?: string }, socket: ClientSocket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [code, detail] = refusalOf(error)
  const body = JSON.stringify(new ProblemError(code, detail).toProblem())
  socket.end(
    [
      `HTTP/1.1 ${PROBLEMS[code].status} ${PROBLEMS[code].title}`,
      'content-type: application/problem+json',
      `content-length: ${Buffer.byteLength(body)}`,
      'connection: close',
      '',
      body,
    ].join('\r\n'),
  )
}

function refusalOf({ code }: { code?: string }): [ProblemCode, string] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return ['request.headers_too_large', `The request line and headers have more than ${headerBytes.value} bytes.`]
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['request.timeout', 'The request was not there in time.']
    default:
      return ['request.malformed', 'The request could not be read as HTTP/1.1.']
  }
}

/** Counted as it says it is: no route has a lower limit, and asking for the route's own costs more than all the rest here. */
const SMALL_BODY_BYTES = 4096

/**
 * Bodies are held in memory until their requests are answered. What all of them take together is bounded here, so that many
 * clients which send slowly cannot add up to more than a process has.
 */
export function boundBodies(server: FastifyInstance, { heldBodyBytes }: ConnectionLimits): void {
  let held = 0
  server.addHook('onRequest', (request, reply, done) => {
    const { 'content-length': length, 'transfer-encoding': coding } = request.headers
    if (length === undefined && coding === undefined) return done()
    // Where it does not say how long it is, it may become as long as it may be.
    const told = length === undefined ? Number.POSITIVE_INFINITY : Number(length)
    const bytes =
      told <= SMALL_BODY_BYTES ? told : Math.min(told, request.routeOptions.bodyLimit ?? bodyLimitOf(server))
    if (held + bytes > heldBodyBytes) return done(busy())
    held += bytes
    // It is emitted once; `once` would wrap the listener, and take it off again.
    reply.raw.on('close', () => {
      held -= bytes
    })
    done()
  })
}

function bodyLimitOf(server: FastifyInstance): number {
  return server.initialConfig.bodyLimit ?? REQUEST_LIMITS.bodyBytes.value
}

function busy(): ProblemError {
  const detail = 'The requests under way hold as much memory as they may together.'
  return new ProblemError('request.busy', detail, { retryAfterSeconds: 1 })
}
