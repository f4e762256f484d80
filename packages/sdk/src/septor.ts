import type {
  ChainResult,
  CountResult,
  EmitDetails,
  EmitResult,
  EventFilter,
  QueryResult,
  VerifyResult,
} from './audit-events.ts'
import type { Backoff } from './backoff.ts'
import { type Change, type ChangeFilter, followChanges } from './changes.ts'
import { EmitBuffer, type FlushResult } from './emit-buffer.ts'
import { MillraceError } from './errors.ts'
import { baseUrl, bearer, requestJson, toJson } from './http.ts'
import { tracedSend } from './traces/traced-send.ts'

export interface SeptorOptions {
  /** The audit service, as in `SEPTOR_URL`. */
  readonly apiUrl: string
  /** Whose events these are, usually the service's name. */
  readonly namespace: string
  /** Sent as a bearer token. */
  readonly apiKey?: string
  /** How many emits may wait for the audit service; 1,000 unless told. */
  readonly maxBuffered?: number
  /** How long an emit is retried before it is given up; 10 minutes unless told. */
  readonly giveUpAfterMs?: number
  /** How long one request may take; 10,000 ms unless told. */
  readonly requestTimeoutMs?: number
  /** Wait between the tries of one emit; from 200 ms up to 10 s unless told. */
  readonly backoff?: Backoff
}

// A thousand events of a few hundred bytes: what a service can hold through an outage without noticing.
const DEFAULT_MAX_BUFFERED = 1_000
// Longer than a restart or a deploy of the audit service, short enough for a process that waits for its promises.
const DEFAULT_GIVE_UP_AFTER_MS = 10 * 60_000
// The service answers within 2 s even when its database is down (202). Five times that is an outage.
const DEFAULT_REQUEST_TIMEOUT_MS = 10_000
// The longest wait is how late the trail may be after the service is back.
const DEFAULT_BACKOFF: Backoff = { baseMs: 200, maxMs: 10_000 }
// The recorder chains events in milliseconds; eight at a time keep it busy without being a burst of thousands.
const MAX_IN_FLIGHT = 8

/** A client of the audit trail. One per process: each has its own buffer. */
export class Septor {
  readonly #eventsUrl: string
  readonly #streamUrl: string
  readonly #namespace: string
  readonly #headers: Readonly<Record<string, string>>
  readonly #requestTimeoutMs: number
  readonly #backoff: Backoff
  readonly #buffer: EmitBuffer

  /** @throws MillraceError `sdk.invalid_input` when `apiUrl` is no URL: better at the start than at the first emit. */
  constructor(options: SeptorOptions) {
    const base = baseUrl('apiUrl', options.apiUrl)
    this.#eventsUrl = `${base}/v1/events`
    this.#streamUrl = `${base}/v1/stream`
    this.#namespace = options.namespace
    this.#headers = bearer(options.apiKey)
    this.#requestTimeoutMs = options.requestTimeoutMs ?? DEFAULT_REQUEST_TIMEOUT_MS
    this.#backoff = options.backoff ?? DEFAULT_BACKOFF
    this.#buffer = new EmitBuffer({
      maxBuffered: options.maxBuffered ?? DEFAULT_MAX_BUFFERED,
      maxInFlight: MAX_IN_FLIGHT,
      giveUpAfterMs: options.giveUpAfterMs ?? DEFAULT_GIVE_UP_AFTER_MS,
      backoff: this.#backoff,
    })
  }

  /**
   * Appends an event to the chain of its entity. Meant to be called without `await` and with `.catch`: the event is
   * kept in memory and retried while the service cannot be reached, always under one idempotency key, so however
   * often it is sent it is one event. Calls for one entity arrive in the order in which they were made.
   *
   * It never throws. The promise rejects with a MillraceError when the event is finally given up: refused by the service,
   * not accepted within `giveUpAfterMs`, not writable as JSON, or more than `maxBuffered` already waiting. An emit
   * whose promise nobody looks at never ends the process as an unhandled rejection; an event that nobody asked
   * about is then lost silently, so do add the `.catch`.
   */
  emit(eventType: string, details: EmitDetails): Promise<EmitResult> {
    const accepted = this.#accept(eventType, details)
    // A handler on the promise that we give out is what keeps the runtime from calling its rejection unhandled.
    accepted.catch(() => undefined)
    return accepted
  }

  /** One page of this namespace's events, oldest first. `data.cursor` leads to the next page and is absent on the last. */
  query(filter: EventFilter = {}): Promise<QueryResult> {
    return this.#get<QueryResult>(`${this.#eventsUrl}?${this.#parametersOf(filter)}`)
  }

  /** How many of this namespace's events pass a filter. */
  count(filter: Omit<EventFilter, 'limit' | 'cursor'> = {}): Promise<CountResult> {
    return this.#get<CountResult>(`${this.#eventsUrl}/count?${this.#parametersOf(filter)}`)
  }

  /**
   * Whether the chain of an entity is whole; if not, `data.brokenAt` is its first bad index, and `level` and `reason` say
   * what does not fit. Rejects with `entity.unknown` when nothing was ever recorded of the entity.
   */
  verify(entityId: string): Promise<VerifyResult> {
    return this.#get<VerifyResult>(this.#entityUrl(entityId, 'verify'))
  }

  /** All events of an entity in the order of their chain. */
  getChain(entityId: string): Promise<ChainResult> {
    return this.#get<ChainResult>(this.#entityUrl(entityId, 'chain'))
  }

  /**
   * What changes in this namespace's jobs, attempts, schedules, ticks, subscriptions and gas, row by row as it changes, for
   * `for await`. It goes on by itself where it broke off, and ends with `signal` or `break`. A row that changed several times
   * meanwhile comes once, as it stands. Rejects when it is refused, as without the role of an operator or auditor.
   */
  changes(filter: ChangeFilter = {}): AsyncGenerator<Change, void> {
    const source = { url: this.#streamUrl, headers: this.#headers, namespace: this.#namespace, backoff: this.#backoff }
    return followChanges({ ...source, requestTimeoutMs: this.#requestTimeoutMs }, filter)
  }

  /**
   * For shutdown: tries hard to send what waits, and resolves when it is all accepted (or given up) or `timeoutMs` is
   * over, saying how many are still pending. Never rejects.
   */
  flush(timeoutMs: number): Promise<FlushResult> {
    return this.#buffer.flush(timeoutMs)
  }

  /** Asynchronous from its first line, so that bad input rejects and does not throw at the caller. */
  async #accept(eventType: string, { entityId, data, metadata }: EmitDetails): Promise<EmitResult> {
    const body = toJson({ namespace: this.#namespace, eventType, entityId, data, metadata })
    const headers = { ...this.#headers, 'idempotency-key': crypto.randomUUID() }
    return tracedSend(
      () => ({ operation: 'emit', destination: this.#namespace }),
      (carrier) => this.#buffer.add(entityId, () => this.#sendEmit({ ...headers, ...carrier }, body)),
      ({ data }) => ({ 'messaging.message.id': data.eventId }),
    )
  }

  async #sendEmit(headers: Record<string, string>, body: string): Promise<EmitResult> {
    const url = `${this.#eventsUrl}/emit`
    const answer = await requestJson({ method: 'POST', url, headers, body, timeoutMs: this.#requestTimeoutMs })
    const result = answer.body as Partial<EmitResult> | null
    if (typeof result?.data?.eventId === 'string') return result as EmitResult
    const message = `POST ${url} answered ${answer.status} without an event id`
    throw new MillraceError(message, { code: 'sdk.bad_answer', status: answer.status })
  }

  async #get<T>(url: string): Promise<T> {
    const timeoutMs = this.#requestTimeoutMs
    return (await requestJson({ method: 'GET', url, headers: this.#headers, timeoutMs })).body as T
  }

  #parametersOf(filter: EventFilter): URLSearchParams {
    const parameters = new URLSearchParams({ namespace: this.#namespace })
    for (const [name, value] of Object.entries(filter)) {
      if (value !== undefined) parameters.set(name, value instanceof Date ? value.toISOString() : String(value))
    }
    return parameters
  }

  #entityUrl(entityId: string, view: 'verify' | 'chain'): string {
    const parameters = new URLSearchParams({ namespace: this.#namespace })
    return `${this.#eventsUrl}/${encodeURIComponent(entityId)}/${view}?${parameters}`
  }
}
