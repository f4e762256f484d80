import { createHash } from 'node:crypto'
import type { FieldError } from '@millrace/contracts'
import { eventIdOf, type IncomingEvent, orderKeyOf } from '@millrace/engine'
import type { Partition, Partitions, RegistryView } from '@millrace/streams'
import { type Emitted, emit, type Fact, fullAddress } from '@millrace/streams'
import { type Batcher, createBatcher } from '../intake/batcher.ts'
import { createSchemaChecks } from './schema-checks.ts'
import { DEFAULT_NAMESPACE, type TypeNotes } from './type-notes.ts'

/** One script call appends at most this many events. */
const MAX_EVENTS_PER_CALL = 500

export interface EventToPublish extends IncomingEvent {
  /** Whose event it is, where the request says so. */
  readonly namespace?: string
  /** Where it stands in a batch, `/0`. */
  readonly pointer?: string
  /** Made here, so that it cannot have been published before. */
  readonly fresh?: boolean
}

export interface Published {
  readonly id: string
  readonly position: string
  readonly namespace: string
  readonly deduplicated?: true
  readonly warnings?: FieldError[]
}

export interface Publisher {
  /** Whose an event is when the request does not say so: the service's that declares its type. */
  namespaceOf(type: string): string
  /**
   * Append events to the log. Throws ProblemError, before anything is published, when one does not fit its schema;
   * `requireNamespace` throws for whose events the sender may not publish.
   */
  publish(events: readonly EventToPublish[], requireNamespace: (namespace: string) => void): Promise<Published[]>
}

export function createPublisher({
  registry,
  partitions,
  types,
}: {
  registry: RegistryView
  partitions: Partitions
  types: TypeNotes
}): Publisher {
  const schemas = createSchemaChecks(registry)
  const appenders = new Map<Partition, Batcher<Fact, Emitted>>(
    partitions.all.map((partition) => [
      partition,
      createBatcher((facts) => emit(partition, facts), { maxItems: MAX_EVENTS_PER_CALL }),
    ]),
  )

  const append = async (event: EventToPublish, namespace: string, warnings: FieldError[]) => {
    const { attributes, json, fresh } = event
    const { id, source, type, subject } = attributes
    const key = createHash('sha256').update(`${source}\n${id}`).digest('base64url').slice(0, 22)
    // Events of one key are in one log, and thereby in order; without a key the event itself says where it goes, so that
    // the same one again finds the first.
    const partition = partitions.of(fullAddress(namespace, orderKeyOf(attributes) ?? key))
    const { kind, position } = await (appenders.get(partition) as Batcher<Fact, Emitted>)({
      kind: 'event',
      type: String(type),
      namespace,
      entityId: String(subject ?? source),
      ...(!fresh && { idempotencyKey: key }),
      data: json,
    })
    types.note(namespace, String(type))
    return {
      id: eventIdOf({ position, partition: partition.number }),
      position: `${partition.number}:${position}`,
      namespace,
      ...(kind === 'replayed' && { deduplicated: true as const }),
      ...(warnings.length > 0 && { warnings }),
    }
  }

  const namespaceOf = (type: string) => schemas.ownerOf(type) ?? DEFAULT_NAMESPACE

  return {
    namespaceOf,
    async publish(events, requireNamespace) {
      const checked = events.map((event) => {
        const type = String(event.attributes.type)
        const namespace = event.namespace ?? namespaceOf(type)
        requireNamespace(namespace)
        const { json, pointer = '' } = event
        return { event, namespace, warnings: schemas.check({ namespace, type, json, pointer }) }
      })
      return Promise.all(checked.map(({ event, namespace, warnings }) => append(event, namespace, warnings)))
    },
  }
}
