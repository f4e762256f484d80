import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import type { TraceCarrier } from '@millrace/traces'
import { backoffMs } from './backoff.ts'
import { isTransient, MillraceError } from './errors.ts'
import { baseUrl, bearer, type JsonRequest, requestJson, toJson } from './http.ts'
import { toTime } from './time-option.ts'
import { tracedSend } from './traces/traced-send.ts'

// The dispatcher answers once Redis has the event, in milliseconds. Ten seconds is an outage.
const DEFAULT_REQUEST_TIMEOUT_MS = 10_000
/** Five requests in about three seconds: longer than a dispatcher is away that is being replaced behind a balancer. */
const TRIES = 5
const BACKOFF = { baseMs: 200, maxMs: 2000 }

export interface PublisherOptions {
  /** The dispatcher, as in `IEC_QUEUE_URL`. */
  readonly url: string
  /** The service whose events they are. */
  readonly namespace: string
  /** How long one request may take; 10,000 ms unless told. */
  readonly requestTimeoutMs?: number
  /** Where the dispatcher asks for one: a key with the role producer in the namespace. */
  readonly apiKey?: string
}

/** An event to publish. A `CloudEvent` of the `cloudevents` package fits. Extensions stand beside the attributes. */
export interface EventToPublish {
  readonly type: string
  /** JSON. */
  readonly data?: unknown
  /** What it is about; events of one subject keep their order, unless `partitionkey` says otherwise. */
  readonly subject?: string
  /** `/<namespace>` unless told. */
  readonly source?: string
  /** The same source and id within 24 hours is the same event; a new one unless told. */
  readonly id?: string
  /** When it happened; now unless told. A string is RFC 3339. */
  readonly time?: Date | string
  readonly partitionkey?: string
  readonly [extension: string]: unknown
}

export interface PublishedEvent {
  /** `evt_…`, the same as in the audit trail. */
  readonly id: string
  /** `<partition>:<position>` in the log. */
  readonly position: string
  /** How safe it is, as at `enqueue`. */
  readonly durability: string
  readonly replicas?: number
  /** The same source and id was published before: this is that event. */
  readonly deduplicated?: true
  /** Where its data does not fit the schema, and the schema only warns. */
  readonly warnings?: readonly { readonly pointer: string; readonly detail: string }[]
}

export interface Publisher {
  /**
   * Publish one event. When it resolves the event is in the log. It has an id before it is sent, so what got no answer is sent
   * again, up to five times in all, and is one event.
   *
   * @throws MillraceError when it was refused (`event.schema_mismatch`, `request.invalid`, …), or when nobody answered.
   */
  publish(event: EventToPublish): Promise<PublishedEvent>
  /** Publish up to 1,000 events in one request; the answers stand in their order. One that is refused refuses all. */
  publishAll(events: readonly EventToPublish[]): Promise<readonly PublishedEvent[]>
}

/** Publishes events of one service. */
export function createPublisher(options: PublisherOptions): Publisher {
  const { url, namespace, apiKey, requestTimeoutMs: timeoutMs = DEFAULT_REQUEST_TIMEOUT_MS } = options
  const eventsUrl = `${baseUrl('url', url)}/events?namespace=${encodeURIComponent(namespace)}`
  const post = (mode: 'cloudevents' | 'cloudevents-batch', body: string, carrier: TraceCarrier) => {
    const headers = { 'content-type': `application/${mode}+json`, ...bearer(apiKey), ...carrier }
    return sendSurely({ method: 'POST', url: eventsUrl, headers, body, timeoutMs })
  }
  return {
    publish(event) {
      return tracedSend(
        () => ({ operation: 'publish', destination: namespace, carrier: ownCarrier(event) }),
        async (carrier) => {
          const body = toJson(toCloudEvent(event, namespace, carrier))
          return parsePublished(await post('cloudevents', body, carrier))
        },
        ({ id }) => ({ 'messaging.message.id': id }),
      )
    },
    async publishAll(events) {
      if (events.length === 0) return []
      return tracedSend(
        () => ({
          operation: 'publish',
          destination: namespace,
          attributes: { 'messaging.batch.message_count': events.length },
        }),
        async (carrier) => {
          const body = toJson(events.map((event) => toCloudEvent(event, namespace, carrier)))
          const answer = await post('cloudevents-batch', body, carrier)
          // How safe they are stands once, beside them.
          const { events: published, ...stated } = (answer ?? {}) as { events?: unknown[] }
          if (published?.length !== events.length) throw badAnswer()
          return published.map((one) => parsePublished({ ...stated, ...(one as object) }))
        },
      )
    },
  }
}

/** What the caller says that the event was created in. */
function ownCarrier({ traceparent, tracestate }: EventToPublish): TraceCarrier {
  if (typeof traceparent !== 'string') return {}
  return { traceparent, ...(typeof tracestate === 'string' && { tracestate }) }
}

function toCloudEvent(event: EventToPublish, namespace: string, carrier: TraceCarrier): Record<string, unknown> {
  // A CloudEvent of its SDK knows best how it is written.
  const { toJSON } = event as { toJSON?: () => Record<string, unknown> }
  const { data, time, ...given } = typeof toJSON === 'function' ? toJSON.call(event) : event
  const hasJson = data !== undefined && given.datacontenttype === undefined
  return {
    specversion: '1.0',
    id: randomUUID(),
    source: `/${namespace}`,
    // So that whoever gets the event knows which trace it was made in, however it travels.
    ...(given.traceparent === undefined && carrier),
    ...given,
    time: toTime('time', (time as EventToPublish['time']) ?? new Date()),
    ...(hasJson && { datacontenttype: 'application/json' }),
    ...(data !== undefined && { data }),
  }
}

async function sendSurely(request: JsonRequest): Promise<unknown> {
  for (let attempt = 1; ; attempt++) {
    try {
      return (await requestJson(request)).body
    } catch (error) {
      const failure = error as MillraceError
      if (!isTransient(failure) || attempt === TRIES) throw failure
      await sleep(Math.max(failure.retryAfterMs ?? 0, backoffMs(attempt, BACKOFF)))
    }
  }
}

function parsePublished(body: unknown): PublishedEvent {
  const {
    id,
    position,
    durability = 'unknown',
    replicas,
    deduplicated,
    warnings,
  } = (body ?? {}) as Partial<PublishedEvent>
  if (typeof id !== 'string' || typeof position !== 'string') throw badAnswer()
  return {
    id,
    position,
    durability,
    ...(replicas !== undefined && { replicas }),
    ...(deduplicated && { deduplicated }),
    ...(warnings && { warnings }),
  }
}

function badAnswer(): MillraceError {
  return new MillraceError('The dispatcher answered without the ids of the events', { code: 'sdk.bad_answer' })
}
