import {
  context,
  propagation,
  ROOT_CONTEXT,
  type Span,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from '@opentelemetry/api'
import type { FastifyInstance, FastifyRequest } from 'fastify'

/** What is asked every few seconds by machines that look whether we live is no work of anybody's. */
const UNTRACED = new Set(['/livez', '/readyz', '/metrics', '/openapi.json'])

/**
 * A SERVER span for each request, by the conventions for HTTP: a child of the caller's, and the active one while the
 * request is handled, so that what is made of it and logged about it belongs to it.
 */
export function traceRequests(server: FastifyInstance, tracer: Tracer): void {
  const spans = new WeakMap<FastifyRequest, Span>()
  const during = (request: FastifyRequest, done: () => void) => {
    const span = spans.get(request)
    if (span) context.with(trace.setSpan(context.active(), span), done)
    else done()
  }
  server.addHook('onRequest', (request, _reply, done) => {
    const route = request.routeOptions.url
    if (route !== undefined && !UNTRACED.has(route)) spans.set(request, begin(request, route, tracer))
    during(request, done)
  })
  // Reading the body leaves the context of the request behind.
  server.addHook('preHandler', (request, _reply, done) => during(request, done))
  server.addHook('onResponse', async (request, reply) => {
    const span = spans.get(request)
    if (!span) return
    const status = reply.statusCode
    span.setAttribute('http.response.status_code', status)
    // An answer that says what is wrong with a request is no failure of the one who answers.
    if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR }).setAttribute('error.type', String(status))
    span.end()
  })
}

function begin(request: FastifyRequest, route: string, tracer: Tracer): Span {
  const { method, url } = request
  return tracer.startSpan(
    `${method} ${route}`,
    {
      kind: SpanKind.SERVER,
      attributes: {
        'http.request.method': method,
        'http.route': route,
        // Without the query, which may hold what is nobody's business.
        'url.path': url.split('?', 1)[0] as string,
        'url.scheme': request.protocol,
      },
    },
    propagation.extract(ROOT_CONTEXT, request.headers),
  )
}
