import { idFromPosition, type LogEvent, parsePosition } from '@millrace/contracts'
import type { Attributes } from '../filter/cesql/evaluate.ts'

/** An event of the log as a CloudEvent. */
export interface LoggedEvent {
  readonly attributes: Attributes
  readonly json: string
}

/** The id that an event of the log has everywhere: in answers, in the audit trail, as a place to start from. */
export function eventIdOf({ position, partition }: Pick<LogEvent, 'position' | 'partition'>): string {
  return idFromPosition('evt', position, partition)
}

/**
 * What the log has as a CloudEvent: a published one as it came, a fact of the platform as one whose source is
 * `/millrace/<namespace>` and whose extensions `namespace` and `queue` say where it happened.
 */
export function toCloudEvent(event: LogEvent): LoggedEvent {
  if (event.kind === 'event') return new PublishedEvent(event.data)
  const attributes = {
    specversion: '1.0',
    id: eventIdOf(event),
    source: `/millrace/${event.namespace}`,
    type: event.type,
    subject: event.entityId,
    time: new Date(parsePosition(event.position).ms).toISOString(),
    datacontenttype: 'application/json',
    namespace: event.namespace,
    ...(event.queue !== '' && { queue: event.queue }),
  }
  return { attributes, json: `${JSON.stringify(attributes).slice(0, -1)},"data":${event.data}}` }
}

/** Its attributes are read when somebody looks at them: whoever asks for a type alone never does. */
class PublishedEvent implements LoggedEvent {
  readonly json: string
  #attributes: Attributes | undefined

  constructor(json: string) {
    this.json = json
  }

  get attributes(): Attributes {
    if (!this.#attributes) {
      const { data, data_base64, ...attributes } = JSON.parse(this.json) as Record<string, unknown>
      this.#attributes = withoutNulls(attributes)
    }
    return this.#attributes
  }
}

/** By which key events keep their order: `partitionkey`, else `subject`. */
export function orderKeyOf({ partitionkey, subject }: Attributes): string | undefined {
  const key = partitionkey ?? subject
  return key === undefined ? undefined : String(key)
}

function withoutNulls(attributes: Record<string, unknown>): Attributes {
  if (!Object.values(attributes).includes(null)) return attributes as Attributes
  return Object.fromEntries(Object.entries(attributes).filter(([, value]) => value !== null)) as Attributes
}
