import type { LogEvent } from '@millrace/contracts'
import { rawMember } from '../raw-json.ts'

/** What a request told about itself when it emitted an audit event, and its payload as JSON text. */
export interface EmittedFact {
  readonly who: string
  readonly why?: string
  readonly where: Readonly<Record<string, string>>
  readonly how: Readonly<Record<string, string>>
  readonly data: string
}

/** The elements of an audit record that an event of the log states. */
export interface AuditFact extends EmittedFact {
  readonly namespace: string
  readonly entityId: string
  readonly eventType: string
  /** The event's own data, parsed; undefined when it is not a JSON object. */
  readonly body: Readonly<Record<string, unknown>> | undefined
}

/** Who acted when an event of the platform names nobody. */
export const PLATFORM_ACTOR = 'millrace'
const UNKNOWN_ACTOR = 'unknown'

/** The data of an `audit` event in the log: what the server captured, then the payload, untouched. */
export function wrapEmitted({ data, ...captured }: EmittedFact): string {
  return `${JSON.stringify(captured).slice(0, -1)},"data":${data}}`
}

/**
 * Read an event of the log as who, what, where, how and why. It never throws: an event that does not make sense is a
 * fact as well, and the trail must neither stop at it nor leave it out.
 */
export function readFact(event: LogEvent): AuditFact {
  const namespace = asName(event.namespace)
  const place = { namespace, entityId: asName(event.entityId), eventType: asName(event.type) }
  const data = typeof event.data === 'string' ? withoutNul(event.data) : ''
  const body = parseObject(data)
  return event.kind === 'audit'
    ? { ...place, body, ...readEmitted(data, body) }
    : { ...place, body, ...readPlatform(event, body), data }
}

function readEmitted(data: string, body: AuditFact['body']): EmittedFact {
  const { who, why, where, how } = body ?? {}
  const payload = body && typeof who === 'string' ? rawMember(data, 'data') : undefined
  // Not in the form that `wrapEmitted` gives: somebody else wrote it into the log. It is kept whole.
  if (payload === undefined) return { who: UNKNOWN_ACTOR, where: {}, how: { kind: 'audit' }, data }
  return { who: asName(who), ...reason(why), where: asTexts(where), how: asTexts(how), data: payload }
}

function readPlatform(event: LogEvent, body: AuditFact['body']): Omit<EmittedFact, 'data'> {
  const actor = [body?.who, body?.consumer].find((name) => typeof name === 'string' && name !== '')
  return {
    who: actor === undefined ? PLATFORM_ACTOR : asName(actor),
    ...reason(body?.why),
    where: event.queue ? { queue: asName(event.queue) } : {},
    // `kind` says that the platform itself stated this fact: a service's emit has method and path here.
    how: { kind: asText(event.kind) },
  }
}

function reason(why: unknown): { why?: string } {
  return typeof why === 'string' && why !== '' ? { why: asText(why) } : {}
}

function asTexts(value: unknown): Record<string, string> {
  if (typeof value !== 'object' || value === null) return {}
  return Object.fromEntries(Object.entries(value).map(([name, text]) => [asText(name), asText(text)]))
}

/** Longer than any that is accepted from a service: a column of an index cannot hold whatever stands in a log. */
const MAX_NAME_LENGTH = 500

function asName(value: unknown): string {
  const text = asText(value)
  return text.length <= MAX_NAME_LENGTH ? text : text.slice(0, MAX_NAME_LENGTH).toWellFormed()
}

/** RFC 8785 has no form for lone surrogates, which `"\ud800"` in JSON makes; they become U+FFFD. */
function asText(value: unknown): string {
  if (value === undefined || value === null) return ''
  return withoutNul((typeof value === 'string' ? value : JSON.stringify(value)).toWellFormed())
}

/** PostgreSQL has no NUL in its texts, and JSON text none either; what somebody else wrote becomes U+FFFD. */
function withoutNul(text: string): string {
  return text.includes('\0') ? text.replaceAll('\0', '\ufffd') : text
}

function parseObject(text: string): AuditFact['body'] {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined
  } catch {
    return undefined
  }
}
