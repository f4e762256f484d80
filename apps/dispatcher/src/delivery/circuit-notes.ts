import type { Logger } from '@millrace/runtime'
import { noteBreaker, type Partition, splitAddress } from '@millrace/streams'
import type { DispatcherMetrics } from '../metrics.ts'
import type { Place, Transition } from './endpoint-health.ts'

export interface CircuitNotesDeps {
  readonly partition: Partition
  readonly metrics: DispatcherMetrics
  readonly logger: Logger
  /** Under which name this process claims now. */
  consumer(): string
  onError(error: unknown): void
}

export interface CircuitNotes {
  /** A circuit opened or closed by an answer to a queue. */
  note(address: string, transition: Transition): void
  /** A queue is delivered there from now on: what was noted of another place is over. */
  moved(address: string, place: Place): void
}

/** Tells the log, the metrics and `explain` of circuits, and takes back each thing told when it is over. */
export function createCircuitNotes({ partition, metrics, logger, consumer, onError }: CircuitNotesDeps): CircuitNotes {
  const open = new Map<string, Transition>()

  const tell = (address: string, { kind, scope, place, sinceMs }: Transition) => {
    const { origin, path } = place
    const since = sinceMs === undefined ? undefined : new Date(sinceMs).toISOString()
    const note = { scope, origin, path, consumer: consumer(), ...(since !== undefined && { since }) }
    metrics.circuitOpen.set({ ...splitAddress(address), scope }, kind === 'opened' ? 1 : 0)
    logger.warn({ event: `breaker.${kind}`, queue: address, ...note }, `circuit ${kind}`)
    noteBreaker(partition, { kind, address, note }).catch(onError)
  }
  const close = (address: string, told: Transition) => {
    open.delete(address)
    tell(address, { kind: 'closed', scope: told.scope, place: told.place })
  }

  return {
    note(address, transition) {
      if (transition.kind === 'opened') {
        open.set(address, transition)
        tell(address, transition)
        return
      }
      // The probe may have been another queue's: all that was told of this place is over.
      const over = [...open].filter(([, told]) => told.scope === transition.scope && isSame(told, transition))
      for (const [queue, told] of over) close(queue, told)
    },
    moved(address, place) {
      const told = open.get(address)
      if (told && (told.place.origin !== place.origin || told.place.path !== place.path)) close(address, told)
    },
  }
}

function isSame({ scope, place }: Transition, other: Transition): boolean {
  return place.origin === other.place.origin && (scope === 'origin' || place.path === other.place.path)
}
