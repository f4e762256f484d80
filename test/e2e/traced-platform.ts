import { type ChildHandle, eventually, freePort, type Receiver, startProcess } from '@millrace/testkit'
import { type SentSpan, spansIn } from './otlp-receiver.ts'
import type { StoreServer } from './redis.ts'

export interface TracedApp {
  readonly process: ChildHandle
  readonly url: string
}

/** An app of ours as a process, which sends its spans to the collector as JSON, nearly at once. */
export async function startTraced(
  name: 'dispatcher' | 'scheduler' | 'audit',
  { redis, collector, env }: { redis: Pick<StoreServer, 'env'>; collector: Receiver; env?: Record<string, string> },
): Promise<TracedApp> {
  const port = await freePort()
  const process = await startProcess({
    file: new URL(`../../apps/${name}/src/main.ts`, import.meta.url),
    env: {
      ...redis.env,
      [`MILLRACE_${name.toUpperCase()}_PORT`]: String(port),
      LOG_LEVEL: 'debug',
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      OTEL_EXPORTER_OTLP_PROTOCOL: 'http/json',
      OTEL_BSP_SCHEDULE_DELAY: '50',
      ...env,
    },
    readyWhen: name === 'audit' ? /service\.listening/ : new RegExp(`${name}\\.ready`),
    readyTimeoutMs: 40_000,
  })
  return { process, url: `http://127.0.0.1:${port}` }
}

export interface Answer {
  readonly status: number
  readonly body: Record<string, unknown> & { readonly id: string }
}

export async function send(
  method: 'POST' | 'PUT',
  url: string,
  body: unknown,
  headers: Record<string, string> = {},
): Promise<Answer> {
  const response = await fetch(url, {
    method,
    headers: { 'content-type': 'application/json', ...headers },
    body: JSON.stringify(body),
  })
  return { status: response.status, body: (await response.json()) as Answer['body'] }
}

/** The spans that fit, once the collector has so many. */
export function waitForSpans(
  collector: Receiver,
  count: number,
  fits: (span: SentSpan) => boolean,
): Promise<SentSpan[]> {
  const check = () => {
    const found = spansIn(collector).filter(fits)
    if (found.length < count) throw new Error(`got ${found.length} of ${count}`)
    return found
  }
  return eventually(check, { what: `${count} spans`, timeoutMs: 60_000 })
}

export interface SpanContext {
  readonly traceId: string
  readonly spanId: string
}

export const contextOf = ({ traceId, spanId }: SpanContext): SpanContext => ({ traceId, spanId })

export function traceparentOf({ traceId, spanId }: SpanContext, flags = '01'): string {
  return `00-${traceId}-${spanId}-${flags}`
}

/** Spans of this name, in a trace or in any. */
export const named = (name: string, trace?: string) => (span: SentSpan) =>
  span.name === name && (trace === undefined || span.traceId === trace)

/** Deliveries of these jobs. */
export const deliveryOf =
  (...ids: readonly string[]) =>
  (span: SentSpan) =>
    span.name.startsWith('deliver ') && ids.includes(String(span.attributes['messaging.message.id']))
