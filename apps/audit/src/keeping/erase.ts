import { createHash } from 'node:crypto'
import { idFromPosition, TRAIL_EVENTS, TRAIL_NAMESPACE } from '@millrace/contracts'
import { type Place, TRAIL_KIND, toErasure } from '@millrace/engine'
import { emit, fullAddress, type Partitions } from '@millrace/streams'
import type { Kysely } from 'kysely'
import { logProblem } from '../api/log-problems.ts'
import { findRecord } from '../queries/events.ts'
import { type Signals, waitFor } from '../recorder/signals.ts'
import type { AuditDatabase, RecordRow } from '../store/schema.ts'

export interface StatedFact {
  readonly type: (typeof TRAIL_EVENTS)[keyof typeof TRAIL_EVENTS]
  readonly entityId: string
  readonly data: Readonly<Record<string, unknown>> & { readonly who: string; readonly why: string }
}

/**
 * State a fact about the trail. It goes through the log like everything else, and what it says is done in the
 * transaction that records it. Returns the event's id.
 */
export async function stateFact(partitions: Partitions, { type, entityId, data }: StatedFact): Promise<string> {
  const partition = partitions.of(fullAddress(TRAIL_NAMESPACE, entityId))
  const fact = { kind: TRAIL_KIND, type, namespace: TRAIL_NAMESPACE, entityId, data: JSON.stringify(data) } as const
  const [emitted] = await emit(partition, [fact]).catch((error) => {
    throw logProblem(error)
  })
  if (!emitted) throw new Error('The emit script answered nothing.')
  return idFromPosition('evt', emitted.position, partition.number)
}

export interface RecordedDeps {
  readonly read: Kysely<AuditDatabase>
  readonly signals: Signals
}

/** The record of an event, once it is there; undefined when it is not within the time. */
export function waitUntilRecorded(
  { read, signals }: RecordedDeps,
  eventId: string,
  { timeoutMs, abort }: { timeoutMs: number; abort: AbortSignal },
): Promise<RecordRow | undefined> {
  return waitFor(signals, { key: eventId, timeoutMs, abort, look: () => findRecord(read, eventId) })
}

/** State that payloads are erased. `entityId` is the chain that says so: a person's, or a rule's. */
export function stateErasure(
  partitions: Partitions,
  places: readonly Place[],
  { entityId, who, why }: { entityId: string; who: string; why: string },
): Promise<string> {
  return stateFact(partitions, { type: TRAIL_EVENTS.erased, entityId, data: { who, why, ...toErasure(places) } })
}

/**
 * The chain of a person's erasures. A hash, because the id may be what is to be forgotten (an address of mail), and this
 * record stays; who knows the id finds the chain.
 */
export function subjectEntity(subject: string): string {
  return `subject/${createHash('sha256').update(subject).digest('hex')}`
}
