import { type Span, SpanStatusCode } from '@opentelemetry/api'

/** Say of a span that it came to nothing, for a reason that is one word. */
export function failSpan(span: Span, reason: string): Span {
  return span.setAttribute('error.type', reason).setStatus({ code: SpanStatusCode.ERROR })
}

/** One word for what was thrown: its code, the name of its class if it has one of its own, else that it is a fault. */
export function reasonOf(error: unknown): string {
  const { code, name } = (error ?? {}) as { code?: unknown; name?: unknown }
  if (typeof code === 'string') return code
  return typeof name === 'string' && name !== 'Error' ? name : 'internal'
}
