import { randomUUID } from 'node:crypto'
import {
  durabilityFields,
  fieldErrors,
  MAX_BATCH_EVENTS,
  namespaceSchema,
  nestsDeeperThan,
  OTHER,
  ProblemError,
  problemSchema,
  publishRequestSchema,
  REQUEST_LIMITS,
} from '@millrace/contracts'
import { bareMediaType, decodeEvents, type EventRequest, parseJson, rawMember, readText } from '@millrace/engine'
import type { AppServer, Clock, Tracing } from '@millrace/runtime'
import type { DurabilityView, RegistryView } from '@millrace/streams'
import type { TraceCarrier } from '@millrace/traces'
import { z } from 'zod'
import type { DispatcherMetrics } from '../metrics.ts'
import { createPublishTraces } from './publish-traces.ts'
import type { EventToPublish, Published, Publisher } from './publisher.ts'
import { DEFAULT_NAMESPACE } from './type-notes.ts'

export interface PublishDeps {
  readonly registry: Pick<RegistryView, 'service'>
  readonly publisher: Publisher
  readonly metrics: DispatcherMetrics
  readonly clock: Clock
  readonly durability: Pick<DurabilityView, 'now'>
  readonly maxEventBytes: number
  readonly tracing?: Tracing | undefined
}

const publishedSchema = z.object({
  id: z.string().describe('of the event in the log and in the audit trail'),
  position: z.string().describe('<partition>:<position>'),
  namespace: z.string(),
  deduplicated: z.literal(true).optional().describe('the same source and id was published before, as this one'),
  warnings: z.array(z.object({ pointer: z.string(), detail: z.string() })).optional(),
})

const MAX_DEPTH = REQUEST_LIMITS.jsonLevels.value
const ENVELOPE_BYTES = 8192

/** `POST /events`: CloudEvents in structured, batch and binary mode, and plain `{type, data}`. */
export async function addPublishRoutes(server: AppServer, deps: PublishDeps): Promise<void> {
  const traces = createPublishTraces(deps.tracing)
  const measure = {
    bytes: deps.metrics.eventBytes.labels({}),
  }
  await server.register(async (scope) => {
    // Any media type may be the data of an event in binary mode, so the body is read here and not by the server.
    scope.removeAllContentTypeParsers()
    scope.addHook('onResponse', (request, reply, done) => {
      const { namespace = '' } = request.query as { namespace?: string }
      if (reply.statusCode >= 400 && reply.statusCode < 500)
        deps.metrics.published.inc({ namespace: labelOf(deps, namespace), result: 'refused' })
      done()
    })
    scope.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
    ;(scope as unknown as AppServer).post(
      '/events',
      {
        bodyLimit: Math.max(deps.maxEventBytes + ENVELOPE_BYTES, REQUEST_LIMITS.bulkBodyBytes.value),
        schema: {
          summary: 'Publish events',
          description:
            'CloudEvents 1.0 in structured (application/cloudevents+json), batch (application/cloudevents-batch+json) or binary mode (ce- headers), or plain JSON {type, data, subject}.',
          querystring: z.strictObject({ namespace: namespaceSchema.optional().describe('whose events they are') }),
          response: {
            200: publishedSchema.extend(durabilityFields).describe('published before'),
            202: z.union([
              publishedSchema.extend(durabilityFields),
              z.object({ events: z.array(publishedSchema), ...durabilityFields }).describe('a batch'),
            ]),
            413: problemSchema,
            415: problemSchema,
            422: problemSchema,
          },
        },
      },
      async (request, reply) => {
        const startedAt = performance.now()
        const incoming: EventRequest = {
          contentType: request.headers['content-type'],
          headers: request.raw.headersDistinct,
          body: Buffer.isBuffer(request.body) ? request.body : Buffer.alloc(0),
        }
        const { namespace } = request.query
        const isBatch = bareMediaType(incoming.contentType).startsWith('application/cloudevents-batch')
        const complete = decodeEvents(incoming)
        const { traceparent, tracestate } = request.headers as TraceCarrier
        const headers = { ...(traceparent && { traceparent }), ...(tracestate && { tracestate }) }
        let trace: string | undefined
        const published = await traces({ namespace, complete, headers }, async (carrier) => {
          trace = carrier.traceparent
          const read: readonly EventToPublish[] = complete ?? [
            readPlain(incoming, { ...deps, carrier, asked: namespace }),
          ]
          const events = read.map((event, index) => ({
            ...event,
            ...(namespace && { namespace }),
            ...(isBatch && { pointer: `/${index}` }),
          }))
          for (const { json } of events) measure.bytes.observe(checkSize(json, deps.maxEventBytes))
          return deps.publisher.publish(events, (each) => request.requireNamespace(each))
        })
        const stated = deps.durability.now()
        const seconds = (performance.now() - startedAt) / 1000
        deps.metrics.publishDuration.observe({ durability: stated.durability }, seconds, trace)
        for (const one of published) count(deps, one)
        if (isBatch) return reply.status(202).send({ ...stated, events: published })
        const [one] = published as [Published]
        return reply.status(one.deduplicated ? 200 : 202).send({ ...one, ...stated })
      },
    )
  })
}

interface PlainContext extends Pick<PublishDeps, 'clock' | 'publisher'> {
  readonly carrier: TraceCarrier
  /** The namespace that the address says. */
  readonly asked: string | undefined
}

/** `{type, data, subject?, …}`: what a CloudEvent needs besides is filled in; the data stays as it was written. */
function readPlain(
  { contentType, body }: EventRequest,
  { clock, publisher, carrier, asked }: PlainContext,
): EventToPublish {
  if (!/^application\/(?:[\w.+-]+\+)?json$/.test(bareMediaType(contentType))) {
    throw new ProblemError(
      'request.unsupported_media_type',
      'Send a CloudEvent (application/cloudevents+json, application/cloudevents-batch+json, or ce- headers), or JSON {"type": …, "data": …} with content-type: application/json.',
    )
  }
  const text = readText(body, contentType)
  const parsed = publishRequestSchema.safeParse(parseJson(text))
  if (!parsed.success) {
    const errors = fieldErrors(parsed.error)
    throw new ProblemError('request.invalid', `The event: ${errors[0]?.pointer || 'it'} ${errors[0]?.detail}.`, {
      errors,
    })
  }
  const { namespace = asked, id = randomUUID(), source, time, data, ...named } = parsed.data
  if (asked !== undefined && namespace !== asked) {
    const detail = `is "${namespace}", and the address says "${asked}": leave one of the two out`
    throw new ProblemError('request.invalid', `The event: /namespace ${detail}.`, {
      errors: [{ pointer: '/namespace', detail }],
    })
  }
  const attributes = {
    specversion: '1.0',
    id,
    source: source ?? `/${namespace ?? publisher.namespaceOf(named.type)}`,
    ...carrier,
    ...named,
    time: time ?? new Date(clock.now()).toISOString(),
    ...(data !== undefined && { datacontenttype: 'application/json' }),
  }
  const raw = data === undefined ? '' : `,"data":${rawMember(text, 'data')}`
  if (nestsDeeperThan(raw, MAX_DEPTH)) {
    throw new ProblemError('request.invalid', `data nests deeper than ${MAX_DEPTH} levels.`, {
      errors: [{ pointer: '/data', detail: `must not nest deeper than ${MAX_DEPTH} levels` }],
    })
  }
  return {
    attributes,
    json: `${JSON.stringify(attributes).slice(0, -1)}${raw}}`,
    fresh: parsed.data.id === undefined,
    ...(namespace !== undefined && { namespace }),
  }
}

/** The size of an event that may be that large. */
function checkSize(json: string, maxBytes: number): number {
  const size = Buffer.byteLength(json)
  if (size <= maxBytes) return size
  throw new ProblemError(
    'request.too_large',
    `The event has ${size} bytes, the limit is ${maxBytes}. Store its data elsewhere and publish a reference; a batch holds up to ${MAX_BATCH_EVENTS} events.`,
  )
}

function count(deps: PublishDeps, { namespace, deduplicated, warnings }: Published): void {
  const result = deduplicated ? 'deduplicated' : warnings ? 'warned' : 'appended'
  deps.metrics.published.inc({ namespace: labelOf(deps, namespace), result })
}

/** A namespace that no service has is whatever the client wrote, and labels have to be few. */
function labelOf({ registry }: PublishDeps, namespace: string): string {
  return registry.service(namespace) || namespace === DEFAULT_NAMESPACE ? namespace : OTHER
}
