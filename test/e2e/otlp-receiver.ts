import type { Receiver } from '@millrace/testkit'

/** A span as an OTLP/HTTP exporter sent it in JSON, with its attributes as an object. */
export interface SentSpan {
  /** Of the process that sent it. */
  readonly service: string
  readonly name: string
  readonly kind: 'INTERNAL' | 'SERVER' | 'CLIENT' | 'PRODUCER' | 'CONSUMER'
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId: string | undefined
  readonly attributes: Readonly<Record<string, unknown>>
  readonly links: readonly {
    readonly traceId: string
    readonly spanId: string
    readonly attributes: Readonly<Record<string, unknown>>
  }[]
  readonly failed: boolean
}

// `SpanKind` and `StatusCode` of opentelemetry/proto/trace/v1/trace.proto.
const KINDS = ['INTERNAL', 'INTERNAL', 'SERVER', 'CLIENT', 'PRODUCER', 'CONSUMER'] as const
const STATUS_ERROR = 2

interface Attribute {
  readonly key: string
  readonly value: Readonly<Record<string, unknown>>
}
interface OtlpSpan {
  readonly name: string
  readonly kind: number
  readonly traceId: string
  readonly spanId: string
  readonly parentSpanId?: string
  readonly attributes?: readonly Attribute[]
  readonly links?: readonly { traceId: string; spanId: string; attributes?: readonly Attribute[] }[]
  readonly status?: { readonly code?: number }
}
interface ExportRequest {
  readonly resourceSpans: readonly {
    readonly resource: { readonly attributes: readonly Attribute[] }
    readonly scopeSpans: readonly { readonly spans: readonly OtlpSpan[] }[]
  }[]
}

/** Every span that reached the receiver so far. */
export function spansIn(receiver: Receiver): SentSpan[] {
  return receiver.requests('/v1/traces').flatMap((request) =>
    (request.json() as ExportRequest).resourceSpans.flatMap(({ resource, scopeSpans }) => {
      const service = String(attributesOf(resource.attributes)['service.name'])
      return scopeSpans.flatMap(({ spans }) => spans.map((span) => toSpan(span, service)))
    }),
  )
}

function toSpan({ name, kind, traceId, spanId, parentSpanId, ...span }: OtlpSpan, service: string): SentSpan {
  return {
    ...{ service, name, traceId, spanId },
    kind: KINDS[kind] ?? 'INTERNAL',
    parentSpanId: parentSpanId || undefined,
    attributes: attributesOf(span.attributes),
    links: (span.links ?? []).map((link) => ({ ...link, attributes: attributesOf(link.attributes) })),
    failed: span.status?.code === STATUS_ERROR,
  }
}

function attributesOf(attributes: readonly Attribute[] = []): Record<string, unknown> {
  return Object.fromEntries(
    attributes.map(({ key, value }) => [
      key,
      // A whole number is a string where it may have 64 bits.
      value.intValue === undefined ? Object.values(value)[0] : Number(value.intValue),
    ]),
  )
}
