import {
  ATTRIBUTE_NAMES,
  CLOUD_EVENT_BATCH_TYPE,
  CLOUD_EVENT_TYPE,
  cloudEventSchema,
  type FieldError,
  fieldErrors,
  MAX_BATCH_EVENTS,
  nestsDeeperThan,
  ProblemError,
  REQUEST_LIMITS,
} from '@millrace/contracts'
import type { Attributes } from '../filter/cesql/evaluate.ts'
import { arrayElements, memberNames } from '../raw-json.ts'
import { decodeBinary } from './binary.ts'
import { bareMediaType, type EventRequest, parseJson, readText } from './event-body.ts'

/** A CloudEvent as it was sent. */
export interface IncomingEvent {
  readonly attributes: Attributes
  /** The whole event in the JSON format. What came in that format is kept byte for byte. */
  readonly json: string
}

/** The parser passes over it, where it finds all others that are no names. */
const NO_NAME: FieldError = { pointer: '/__proto__', detail: `is no name of an attribute: ${ATTRIBUTE_NAMES}` }

const MAX_DEPTH = REQUEST_LIMITS.jsonLevels.value

/**
 * The CloudEvents of a request, by CloudEvents 1.0 over HTTP: structured, batch or binary mode. Undefined when it is none
 * of them. Throws ProblemError, with every mistake; of a batch all events are right or none is taken.
 */
export function decodeEvents({ contentType, headers, body }: EventRequest): IncomingEvent[] | undefined {
  const mediaType = bareMediaType(contentType)
  if (mediaType === CLOUD_EVENT_TYPE) return [decodeStructured(readText(body, contentType))]
  if (mediaType === CLOUD_EVENT_BATCH_TYPE) return decodeBatch(readText(body, contentType))
  if (mediaType.startsWith('application/cloudevents')) {
    throw new ProblemError(
      'request.unsupported_media_type',
      `${mediaType} is not known here; send ${CLOUD_EVENT_TYPE}, ${CLOUD_EVENT_BATCH_TYPE}, or binary mode.`,
    )
  }
  if (!Object.keys(headers).some((name) => name.startsWith('ce-'))) return undefined
  const json = decodeBinary({ contentType, headers, body })
  return [decodeStructured(json)]
}

function decodeStructured(json: string): IncomingEvent {
  const decoded = decodeEvent(parseJson(json), json)
  if (Array.isArray(decoded)) throw refuse(decoded)
  return decoded
}

function decodeBatch(text: string): IncomingEvent[] {
  const values = parseJson(text)
  if (!Array.isArray(values) || values.length === 0 || values.length > MAX_BATCH_EVENTS)
    throw refuse([{ pointer: '', detail: `must be a list of 1 to ${MAX_BATCH_EVENTS} events` }])
  const texts = arrayElements(text)
  const decoded = values.map((value, index) => decodeEvent(value, texts[index] as string))
  const mistakes = decoded.flatMap((result, index) =>
    Array.isArray(result) ? result.map(({ pointer, detail }) => ({ pointer: `/${index}${pointer}`, detail })) : [],
  )
  if (mistakes.length > 0) throw refuse(mistakes)
  return decoded as IncomingEvent[]
}

function decodeEvent(value: unknown, json: string): IncomingEvent | FieldError[] {
  const parsed = cloudEventSchema.safeParse(value)
  if (!parsed.success) return fieldErrors(parsed.error)
  if (nestsDeeperThan(json, MAX_DEPTH))
    return [{ pointer: '/data', detail: `must not nest deeper than ${MAX_DEPTH} levels` }]
  const names = memberNames(json)
  const faults = [...doubled(names), ...(names.includes('__proto__') ? [NO_NAME] : [])]
  if (faults.length > 0) return faults
  const { data, data_base64, ...attributes } = parsed.data
  return { attributes: attributes as Attributes, json }
}

/** Who reads the first of two and who reads the last would see different events. */
function doubled(names: readonly string[]): FieldError[] {
  const extra = names.filter((name, index) => names.indexOf(name) !== index)
  return [...new Set(extra)].map((name) => ({ pointer: `/${name}`, detail: 'must stand there once' }))
}

function refuse(errors: readonly FieldError[]): ProblemError {
  const [first] = errors
  const more = errors.length > 1 ? ` (and ${errors.length - 1} more)` : ''
  return new ProblemError('request.invalid', `The event: ${first?.pointer || 'it'} ${first?.detail}${more}.`, {
    errors,
  })
}
