import fastifySwagger from '@fastify/swagger'
import { fieldErrors, PROBLEMS, ProblemError, REQUEST_LIMITS } from '@millrace/contracts'
import Fastify, {
  type FastifyError,
  type FastifyInstance,
  type FastifyReply,
  type FastifyRequest,
  type FastifySchemaCompiler,
  type FastifyServerOptions,
  LogController,
} from 'fastify'
import { jsonSchemaTransform, type ZodTypeProvider } from 'fastify-type-provider-zod'
import type { z } from 'zod'
import {
  boundBodies,
  type ConnectionLimits,
  connectionOptions,
  limitIdleConnections,
  USUAL_LIMITS,
} from './connection-limits.ts'
import { hostComplaint } from './host-check.ts'
import { parseJsonBodies } from './json-body.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics/metrics.ts'
import { refuseUnknownQuery } from './query-members.ts'
import { type ReadinessSource, readReadiness, watchPartitions } from './readiness.ts'
import { StartError } from './service.ts'
import { traceRequests } from './trace-requests.ts'
import type { Tracing } from './tracing.ts'

export interface HttpServerOptions {
  readonly title: string
  readonly version: string
  readonly logger: Logger
  readonly metrics: Metrics
  readonly bodyLimitBytes: number
  /** What the environment says of clients. */
  readonly clients?: { readonly MILLRACE_TRUSTED_PROXIES: string[]; readonly MILLRACE_MAX_CONNECTIONS: number }
  /** For tests, which have less time than the usual ones give. */
  readonly limits?: ConnectionLimits
  /** Stands in front of every route; called before the first one is added. */
  guard?(server: FastifyInstance): void
  /** Requests are traced where there is one. */
  readonly tracing?: Tracing | undefined
  /** What keeps this process from its work right now. */
  readonly ready: ReadinessSource
  /** Turns errors of the store and the like into problems; undefined leaves them internal. */
  mapError?(error: unknown): ProblemError | undefined
}

/**
 * A fastify server with the house rules: problem documents, raw JSON bodies, health, metrics and OpenAPI. Hooks that stand in front of
 * every request call back instead of being async: each promise is an allocation and a turn of the microtask queue for every request.
 */
export async function createHttpServer(options: HttpServerOptions) {
  const { title, version, logger, metrics, bodyLimitBytes, tracing, clients, limits = USUAL_LIMITS } = options
  const server = Fastify({
    loggerInstance: logger.child({}),
    logController: new LogController({ disableRequestLogging: true }),
    bodyLimit: bodyLimitBytes,
    forceCloseConnections: 'idle',
    trustProxy: clients && clients.MILLRACE_TRUSTED_PROXIES.length > 0 ? clients.MILLRACE_TRUSTED_PROXIES : false,
    frameworkErrors: refuseUrl,
    schemaController: { compilersFactory },
    ...connectionOptions(limits),
  })
  // Nobody writes lines of single requests, and a child for each would be a sixtieth of what a small one takes. A factory of children,
  // which is where fastify would have this said, has its result examined at every request, and that is half as much.
  Object.assign(server.log, { child: () => server.log })
  limitIdleConnections(server.server, limits)
  if (clients) server.server.maxConnections = clients.MILLRACE_MAX_CONNECTIONS
  parseJsonBodies(server as unknown as FastifyInstance)
  answerWithProblems(server as unknown as FastifyInstance, options)
  measureRequests(server as unknown as FastifyInstance, metrics)
  if (tracing) traceRequests(server as unknown as FastifyInstance, tracing.tracer)
  letGoOfConnections(server as unknown as FastifyInstance)
  options.guard?.(server as unknown as FastifyInstance)
  refuseUnknownQuery(server as unknown as FastifyInstance)
  // After the guard: nobody who may not come in is counted.
  boundBodies(server as unknown as FastifyInstance, limits)
  await server.register(fastifySwagger, { openapi: { info: { title, version } }, transform: jsonSchemaTransform })
  addOperationsRoutes(server as unknown as FastifyInstance, options)
  return server.withTypeProvider<ZodTypeProvider>()
}
export type AppServer = Awaited<ReturnType<typeof createHttpServer>>

/** Listen, or say which variable to change when the port is taken, or everybody could come in (`guarded`: who asks must have a key). Returns the port, also when it was given as 0. */
export async function listen(
  server: AppServer,
  { host, port, variable, guarded }: { host: string; port: number; variable: string; guarded: boolean },
): Promise<number> {
  const complaint = hostComplaint({ host, guarded })
  if (complaint) throw new StartError(complaint)
  try {
    await server.listen({ host, port })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EADDRINUSE') {
      throw new StartError(
        `Port ${port} on ${host} is taken by another program. Set ${variable} to a free port, for example ${variable}=${port + 100}.`,
      )
    }
    throw error
  }
  if (!guarded)
    server.log.info(
      { event: 'access.open', host, setting: 'MILLRACE_ADMIN_KEY' },
      'no keys are needed: whoever reaches the port may do everything, and only this machine does',
    )
  const address = server.server.address()
  return typeof address === 'object' && address ? address.port : port
}

function answerWithProblems(server: FastifyInstance, { logger, mapError, bodyLimitBytes }: HttpServerOptions): void {
  server.setErrorHandler((error: FastifyError, request, reply) => {
    const problem = toProblem(error, request.routeOptions.bodyLimit ?? bodyLimitBytes, mapError)
    if (problem.code === 'internal')
      logger.error(
        { event: 'http.failed', err: error, method: request.method, route: request.routeOptions.url },
        'request failed',
      )
    if (problem.retryAfterSeconds !== undefined) reply.header('retry-after', problem.retryAfterSeconds)
    // Closed at once, a client that is still sending would hear of a broken connection instead of its mistake. So the rest is read and dropped.
    if (
      problem.code === 'request.too_large' &&
      Number(request.headers['content-length']) <= REQUEST_LIMITS.droppedBodyBytes.value
    )
      reply.removeHeader('connection')
    return reply
      .status(PROBLEMS[problem.code].status)
      .type('application/problem+json')
      .send(JSON.stringify(problem.toProblem()))
  })
  server.setNotFoundHandler((request, reply) => {
    const problem = new ProblemError(
      'request.not_found',
      `${request.method} ${request.url} is not a route here. GET /openapi.json lists them.`,
    )
    return reply.status(404).type('application/problem+json').send(JSON.stringify(problem.toProblem()))
  })
}

/** What stands in the address and cannot be decoded, or is too long for a name. */
function refuseUrl(error: FastifyError, _request: FastifyRequest, reply: FastifyReply): void {
  const problem = new ProblemError('request.invalid', `The address could not be read: ${error.message}.`)
  void reply.status(422).type('application/problem+json').send(JSON.stringify(problem.toProblem()))
}

function toProblem(error: FastifyError, bodyLimitBytes: number, mapError: HttpServerOptions['mapError']): ProblemError {
  if (error instanceof ProblemError) return error
  const mapped = mapError?.(error)
  if (mapped) return mapped
  if (error.code === 'FST_ERR_CTP_BODY_TOO_LARGE')
    return new ProblemError('request.too_large', `The body is larger than ${bodyLimitBytes} bytes.`)
  if (error.code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') {
    return new ProblemError(
      'request.unsupported_media_type',
      'Send JSON with the header content-type: application/json.',
    )
  }
  if (error.statusCode && error.statusCode >= 400 && error.statusCode < 500)
    return new ProblemError('request.invalid', error.message)
  return new ProblemError('internal', 'The request failed for a reason of our own; the log of this app has it.', {
    cause: error,
  })
}

/** Requests are parsed with the zod schema of the route; what does not fit is refused with every mistake named. */
const compileZod: FastifySchemaCompiler<z.ZodType> =
  ({ schema, httpPart }) =>
  (value) => {
    const result = schema.safeParse(value)
    if (result.success) return { value: result.data }
    const errors = fieldErrors(result.error)
    const first = errors[0]
    const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
    return {
      error: new ProblemError(
        'request.invalid',
        `The ${httpPart ?? 'request'}: ${first?.pointer || 'it'} ${first?.detail}${more}.`,
        { errors },
      ),
    }
  }

/** What we answer is ours, so it is not parsed again on the way out; the schemas still make the OpenAPI document. */
const toJson = () => (data: unknown) => JSON.stringify(data)

// Given to fastify when it is made and not set afterwards, when it would have loaded its own: 45 of the 1,000 ms in which an app starts.
const compilersFactory = { buildValidator: () => compileZod, buildSerializer: () => toJson } as unknown as NonNullable<
  FastifyServerOptions['schemaController']
>['compilersFactory']

function measureRequests(server: FastifyInstance, { own }: Metrics): void {
  server.addHook('onResponse', (request, reply, done) => {
    own.requestDuration.observe(
      {
        http_request_method: request.method,
        http_route: request.routeOptions.url ?? '_other',
        http_response_status_code: reply.statusCode,
      },
      reply.elapsedTime / 1000,
    )
    done()
  })
}

/** How long a client may take to finish a request that it began before the server closed. */
const CLOSE_DEADLINE_MS = 2000

/**
 * Clients that keep their connections open must not keep a closing process: what is answered from then on says so in its
 * headers (fastify does it only for requests that come later still), and who goes on regardless is cut off.
 */
function letGoOfConnections(server: FastifyInstance): void {
  let closing = false
  server.addHook('preClose', async () => {
    closing = true
    setTimeout(() => server.server.closeAllConnections(), CLOSE_DEADLINE_MS).unref()
  })
  server.addHook('onSend', (_request, reply, _payload, done) => {
    if (closing) reply.header('connection', 'close')
    done()
  })
}

function addOperationsRoutes(server: FastifyInstance, { ready, metrics }: HttpServerOptions): void {
  // Probes and scrapers add members of their own to what they read.
  const hidden = { schema: { hide: true }, config: { takesAnyQuery: true } }
  server.get('/livez', hidden, async () => ({ status: 'alive' }))
  server.get('/readyz', hidden, async (_request, reply) => {
    const readiness = await readReadiness(ready)
    return reply.status(readiness.status === 'ready' ? 200 : 503).send(readiness)
  })
  const watching = watchPartitions(ready, metrics.own)
  server.addHook('onClose', () => watching?.stop())
  server.get('/metrics', hidden, async (request, reply) => {
    const { contentType, text } = await metrics.expose(request.headers.accept)
    return reply.type(contentType).send(text)
  })
  server.get('/openapi.json', hidden, async () => server.swagger())
}
