import { CLOUD_EVENT_TYPE, type DeclaredEvent, PLATFORM_EVENT_TYPES } from '@millrace/contracts'
import { fitsTypes } from '../filter/subscription-index.ts'
import { createNames } from './names.ts'
import { type JsonSchema, relocateSchema } from './relocate-schema.ts'

/** Who publishes which types; `declared` when its manifest says so, else they were seen. */
export interface EventSource {
  readonly namespace: string
  readonly events: readonly (Pick<DeclaredEvent, 'type' | 'schema' | 'onMismatch' | 'description'> & {
    readonly declared: boolean
  })[]
}
type SourceEvent = EventSource['events'][number]

type Parts = Record<string, Readonly<Record<string, unknown>>>

/** The messages of a document and their schemas, each made when it is first asked for. */
export interface MessageCatalogue {
  /** The name of the message of a type that a service publishes. */
  published(namespace: string, event: SourceEvent): string
  /** The names of the messages that a subscription to these types may get. */
  received(subscriber: string, types: readonly string[]): string[]
  components(): { readonly schemas: Parts; readonly messages: Parts }
}

const DIALECT = 'https://json-schema.org/draft/2020-12/schema'
const MISMATCH = 'Data that does not fit the schema is published as well.'

export function createMessages(sources: readonly EventSource[]): MessageCatalogue {
  const names = { messages: createNames(), schemas: createNames() }
  // A type called `constructor` must not be taken for what every object has.
  const messages: Parts = Object.create(null)
  const schemas: Parts = Object.create(null)

  const schemaRef = (key: string, wanted: string, make: (place: string) => Readonly<Record<string, unknown>>) => {
    const name = names.schemas.of(key, wanted)
    const place = `/components/schemas/${name}`
    schemas[name] ??= make(place)
    return { $ref: `#${place}` }
  }
  const dataRef = (namespace: string, { type, schema }: SourceEvent) =>
    schemaRef(`${namespace} ${type}`, `${namespace}.${type}`, (place) => ({
      $schema: DIALECT,
      ...relocateSchema(schema as JsonSchema, place),
    }))
  const payload = (type: unknown, data?: unknown) => ({
    allOf: [
      schemaRef('', 'cloudEvent', () => CLOUD_EVENT_SCHEMA),
      { properties: { type, ...(data !== undefined && { data }) } },
    ],
  })
  const message = (key: string, wanted: string, make: () => Readonly<Record<string, unknown>>) => {
    const name = names.messages.of(key, wanted)
    messages[name] ??= { contentType: CLOUD_EVENT_TYPE, ...make() }
    return name
  }

  const published = (namespace: string, event: SourceEvent) =>
    message(`${namespace} ${event.type}`, `${namespace}.${event.type}`, () => ({
      name: event.type,
      title: event.type,
      ...description(
        event.description,
        !event.declared && `Published by ${namespace}, which does not declare it.`,
        event.schema !== undefined && event.onMismatch === 'warn' && MISMATCH,
      ),
      payload: payload({ const: event.type }, event.schema === undefined ? undefined : dataRef(namespace, event)),
    }))

  /** Several services may publish one type: it is one message, and its data fits one of theirs. */
  const receivedType = (type: string) => {
    const from = sources.flatMap(({ namespace, events }) =>
      events.filter((event) => event.type === type).map((event) => ({ namespace, event })),
    )
    const [only] = from
    if (only && from.length === 1) return published(only.namespace, only.event)
    const everyHasSchema = from.length > 0 && from.every(({ event }) => event.schema !== undefined)
    const data = everyHasSchema ? { anyOf: from.map(({ namespace, event }) => dataRef(namespace, event)) } : undefined
    const isPlatform = PLATFORM_EVENT_TYPES.includes(type)
    return message(`type ${type}`, type, () => ({
      name: type,
      title: type,
      ...description(
        from.length > 1 && `Published by ${from.map(({ namespace }) => namespace).join(', ')}.`,
        isPlatform && 'Stated by the platform; `namespace` and `queue` say where it happened.',
        from.length === 0 && !isPlatform && 'No service declares it, and none was seen to publish it.',
      ),
      payload: payload({ const: type }, isPlatform ? { type: 'object' } : data),
    }))
  }

  return {
    published,
    received(subscriber, types) {
      const known = new Set([
        ...sources.flatMap(({ events }) => events.map(({ type }) => type)),
        ...PLATFORM_EVENT_TYPES,
      ])
      const patterns = types.length > 0 ? types : ['*']
      const exact = patterns.filter((pattern) => !isWildcard(pattern))
      const fitting = [...new Set([...exact, ...[...known].filter((type) => fitsTypes(patterns, type))])].toSorted()
      const found = fitting.map(receivedType)
      if (exact.length === patterns.length) return found
      // What fits and is not known yet, so that each event is of one message only.
      const other = {
        type: 'string',
        anyOf: patterns.filter(isWildcard).map((pattern) => ({ pattern: expressionOf(pattern) })),
        ...(fitting.length > 0 && { not: { enum: fitting } }),
      }
      return [
        ...found,
        message(`other ${subscriber}`, `${subscriber}.other`, () => ({
          title: 'other types',
          description: `What fits ${patterns.join(', ')} and is not known yet.`,
          payload: payload(other),
        })),
      ]
    },
    components: () => ({ schemas, messages }),
  }
}

const CLOUD_EVENT_SCHEMA = {
  title: 'CloudEvent 1.0, structured mode',
  type: 'object',
  required: ['specversion', 'id', 'source', 'type'],
  properties: {
    specversion: { const: '1.0' },
    id: { type: 'string', minLength: 1 },
    source: { type: 'string', minLength: 1, format: 'uri-reference' },
    type: { type: 'string', minLength: 1 },
    subject: { type: 'string', minLength: 1 },
    time: { type: 'string', format: 'date-time' },
    datacontenttype: { type: 'string' },
    dataschema: { type: 'string', format: 'uri' },
    partitionkey: { type: 'string', description: 'events of one key, else of one subject, keep their order' },
    data: {},
    data_base64: { type: 'string' },
  },
}

function isWildcard(pattern: string): boolean {
  return pattern.endsWith('*')
}

function expressionOf(pattern: string): string {
  return pattern === '*' ? '^' : `^${pattern.slice(0, -1).replaceAll(/[.*+?^${}()|[\]\\/-]/g, '\\$&')}`
}

function description(...parts: (string | false | undefined)[]): { description?: string } {
  const text = parts.filter((part) => part !== false && part !== undefined && part !== '').join(' ')
  return text === '' ? {} : { description: text }
}
