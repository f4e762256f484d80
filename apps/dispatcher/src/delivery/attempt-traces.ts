import type { QueueDefinition } from '@millrace/contracts'
import type { SpanIds } from '@millrace/delivery'
import type { AttemptResult, Outcome } from '@millrace/engine'
import type { Tracing } from '@millrace/runtime'
import type { ClaimedJob } from '@millrace/streams'
import { carrierOf, contextIn, failSpan, startProcess, type TraceCarrier } from '@millrace/traces'
import { type Attributes, ROOT_CONTEXT, type Span, SpanKind, type Tracer, trace } from '@opentelemetry/api'

/** Where a queue is delivered. */
interface Target {
  readonly definition: QueueDefinition
  readonly origin: string
}

/** The spans of one attempt: the delivery, and inside it the request. */
export interface AttemptSpan {
  readonly ids: SpanIds
  /** What the request carries, so that the worker's spans are under it. */
  readonly headers: TraceCarrier
  end(attempted: { readonly outcome: Outcome; readonly result: AttemptResult }): void
}

export interface BatchSpan {
  readonly ids: SpanIds
  readonly headers: TraceCarrier
  end(result: AttemptResult): void
}

export interface AttemptTraces {
  one(job: ClaimedJob, target: Target): AttemptSpan
  /** One request for several jobs. */
  batch(jobs: readonly ClaimedJob[], target: Target): BatchSpan
}

/**
 * Spans for attempts, by OpenTelemetry's conventions for messaging: the delivery is a CONSUMER that processes the job, and
 * links to the context that the job was created in; the request is a CLIENT. The delivery of a single job is also a child
 * of that context, unless `linked`; one of a batch has many, so it begins a trace of its own.
 */
export function createAttemptTraces({ tracer }: Tracing, { linked }: { linked: boolean }): AttemptTraces {
  return {
    one(job, target) {
      const { id, attempt, epoch } = job
      const spans = start(tracer, {
        jobs: [job],
        target,
        parent: linked ? ROOT_CONTEXT : contextIn(job.meta),
        attributes: {
          'messaging.message.id': id,
          'messaging.millrace.attempt': attempt,
          'messaging.millrace.epoch': epoch,
        },
      })
      return {
        ...told(spans),
        end({ outcome, result }) {
          const failed = 'reason' in outcome ? outcome.reason : undefined
          spans.delivery.setAttribute('messaging.millrace.outcome', outcome.kind)
          end(spans, { result, failed })
        },
      }
    },
    batch(jobs, target) {
      const attributes = { 'messaging.batch.message_count': jobs.length }
      const spans = start(tracer, { jobs, target, parent: ROOT_CONTEXT, attributes })
      return {
        ...told(spans),
        end: (result) => end(spans, { result, failed: errorOf(result) }),
      }
    },
  }
}

interface Spans {
  readonly delivery: Span
  readonly request: Span
}

function start(
  tracer: Tracer,
  {
    jobs,
    target: { definition, origin },
    parent,
    attributes,
  }: { jobs: readonly ClaimedJob[]; target: Target; parent: typeof ROOT_CONTEXT; attributes: Attributes },
): Spans {
  const isSubscription = definition.kind === 'subscription'
  const delivery = startProcess(tracer, {
    operation: 'deliver',
    destination: jobs[0]?.address,
    links: jobs.map(({ id, meta }) => ({ id, carrier: meta })),
    parent,
    attributes: {
      ...(isSubscription && { 'messaging.destination.subscription.name': definition.name }),
      ...attributes,
    },
  })
  const { hostname, port, protocol } = new URL(origin)
  const request = tracer.startSpan(
    'POST',
    {
      kind: SpanKind.CLIENT,
      // Without the path: that of a subscription's sink may be a secret.
      attributes: {
        'http.request.method': 'POST',
        'server.address': hostname,
        'server.port': port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port),
      },
    },
    trace.setSpan(parent, delivery),
  )
  return { delivery, request }
}

function told({ delivery, request }: Spans) {
  const { traceId, spanId } = delivery.spanContext()
  return { ids: { traceId, spanId }, headers: carrierOf(request) }
}

function end({ delivery, request }: Spans, { result, failed }: { result: AttemptResult; failed: string | undefined }) {
  if (result.kind === 'response') request.setAttribute('http.response.status_code', result.status)
  const error = errorOf(result)
  if (error !== undefined) failSpan(request, error)
  if (failed !== undefined) failSpan(delivery, failed)
  request.end()
  delivery.end()
}

/** Why a request failed, in the words of the conventions for HTTP: a status, or what happened instead of an answer. */
function errorOf(result: AttemptResult): string | undefined {
  if (result.kind === 'failed') return result.reason
  return result.status >= 400 ? String(result.status) : undefined
}
