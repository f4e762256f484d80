import { setTimeout as sleep } from 'node:timers/promises'
import { type Backoff, backoffMs } from './backoff.ts'
import { isTransient, MillraceError } from './errors.ts'
import { openStream } from './http.ts'

/** Which rows to hear of; what is not given lets everything pass. */
export interface ChangeFilter {
  /** Without it all but `queue_stats`, which change with every job. */
  readonly models?: readonly ChangeModel[]
  /** A queue's address: `send-mail`, `schedule:nightly-sync`, `subscription:orders`. */
  readonly queue?: string
  /** Of a job or a tick, or the outcome of an attempt; rows that have none are left out. Dead letters are jobs that are `dead`. */
  readonly state?: string
  /** Go on behind this change. `s` is the beginning of the trail; without it the changes begin with now. */
  readonly cursor?: string
  /** Ends the changes. */
  readonly signal?: AbortSignal
}

export type ChangeModel = 'jobs' | 'attempts' | 'schedules' | 'ticks' | 'subscriptions' | 'gas' | 'queue_stats'
export type ChangeKind = 'job' | 'attempt' | 'schedule' | 'tick' | 'subscription' | 'gas' | 'queue_stats'

/** A row of a read model as it stood when it was told of. */
export interface Change {
  readonly kind: ChangeKind
  /** Keep it with what you make of the row, to go on from here another time. */
  readonly cursor: string
  /** As its list has it: a job as `GET /v1/jobs/{id}` without payload, result and history. */
  readonly row: Readonly<Record<string, unknown>>
}

export interface ChangeSource {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly namespace: string
  readonly backoff: Backoff
  readonly requestTimeoutMs: number
  /** How long nothing may come; `SILENCE_MS` unless told. */
  readonly silenceMs?: number
}

/** The service says something every 5 s, if only a comment. Three times that is a connection that is open at one end. */
const SILENCE_MS = 15_000
/** What tells of no row. */
const PLACES: ReadonlySet<string> = new Set(['begin', 'place', 'cut'])

/** Each change once or more, without a gap, over connections that break off and a service that is away. */
export async function* followChanges(source: ChangeSource, filter: ChangeFilter): AsyncGenerator<Change, void> {
  const { signal } = filter
  let { cursor } = filter
  for (let failures = 0; !signal?.aborted; ) {
    let retryAfterMs = 0
    try {
      for await (const { event = '', id = '', data } of await open(source, { ...filter, cursor })) {
        failures = 0
        cursor = id || cursor
        if (!PLACES.has(event)) yield { kind: event as ChangeKind, cursor: id, row: JSON.parse(data) as Change['row'] }
      }
    } catch (error) {
      if (signal?.aborted) return
      if (!(error instanceof MillraceError) || !isTransient(error)) throw error
      retryAfterMs = error.retryAfterMs ?? 0
    }
    const waitMs = Math.max(retryAfterMs, backoffMs(++failures, source.backoff))
    // It rejects when it is aborted, which is what the loop asks about.
    await sleep(waitMs, undefined, { ...(signal && { signal }) }).catch(() => undefined)
  }
}

async function open(source: ChangeSource, { models, queue, state, cursor, signal }: ChangeFilter) {
  const given = { namespace: source.namespace, models: models?.join(','), queue, state, cursor }
  const query = Object.entries(given).filter((pair): pair is [string, string] => pair[1] !== undefined)
  const { headers, requestTimeoutMs: timeoutMs, silenceMs = SILENCE_MS } = source
  const url = `${source.url}?${new URLSearchParams(query)}`
  const body = await openStream({ url, headers, timeoutMs, silenceMs, signal })
  const { EventSourceParserStream } = await import('eventsource-parser/stream')
  return body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
}
