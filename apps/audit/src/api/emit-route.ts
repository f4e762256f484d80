import {
  type EmitRequest,
  emitRequestSchema,
  emitResponseSchema,
  idempotencyKeySchema,
  idFromPosition,
  ProblemError,
} from '@millrace/contracts'
import { type EmittedFact, rawMember, wrapEmitted } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import { emit, fullAddress, type Partitions } from '@millrace/streams'
import type { Kysely } from 'kysely'
import { z } from 'zod'
import { findRecord } from '../queries/events.ts'
import { type Signals, waitFor } from '../recorder/signals.ts'
import type { AuditDatabase, RecordRow } from '../store/schema.ts'
import { StoreError } from '../store/store-error.ts'
import { logProblem } from './log-problems.ts'

/** How long an emit waits to be chained. Accepted it is either way, from when it is in the log. */
const CHAINED_WITHIN_MS = 2000
/** A user agent is a hint of where, not a payload. */
const MAX_USER_AGENT = 500

export interface EmitDeps {
  readonly partitions: Partitions
  readonly read: Kysely<AuditDatabase>
  readonly signals: Signals
  readonly stopping: AbortSignal
}

export function addEmitRoute(server: AppServer, deps: EmitDeps): void {
  server.route({
    method: 'POST',
    url: '/v1/events/emit',
    schema: {
      summary: 'Append an event to the trail of an entity',
      headers: z.looseObject({ 'idempotency-key': idempotencyKeySchema.optional() }),
      body: emitRequestSchema.check(refuseUnstorableText),
      response: {
        200: emitResponseSchema.describe('the idempotency key was known: the event it stands for'),
        201: emitResponseSchema.describe('accepted and chained'),
        202: emitResponseSchema.describe('accepted; it is chained later'),
      },
    },
    async handler(request, reply) {
      const { body } = request
      const fact: EmittedFact = {
        who: body.metadata.who,
        ...(body.metadata.why !== undefined && { why: body.metadata.why }),
        where: { ip: request.ip, ...userAgent(request.headers['user-agent']) },
        how: { method: request.method, path: request.url.split('?')[0] as string },
        data: rawMember(request.rawBody, 'data') ?? 'null',
      }
      const accepted = await append(deps, { body, fact, key: keyOf(body, request.headers['idempotency-key']) })
      const record = await waitUntilChained(deps, accepted.eventId)
      if (accepted.replayed && record) refuseOtherBody(record, body, fact)
      const data = record
        ? { eventId: record.event_id, eventHash: record.event_hash, chainIndex: record.chain_index }
        : { eventId: accepted.eventId }
      return reply.status(record ? (accepted.replayed ? 200 : 201) : 202).send({ success: true, data } as const)
    },
  })
}

async function append(
  { partitions }: EmitDeps,
  { body, fact, key }: { body: EmitRequest; fact: EmittedFact; key: string | undefined },
): Promise<{ eventId: string; replayed: boolean }> {
  const { namespace, entityId, eventType } = body
  const partition = partitions.of(fullAddress(namespace, entityId))
  const data = wrapEmitted(fact)
  try {
    const [emitted] = await emit(partition, [
      { kind: 'audit', type: eventType, namespace, entityId, data, ...(key !== undefined && { idempotencyKey: key }) },
    ])
    if (!emitted) throw new Error('The emit script answered nothing.')
    const eventId = idFromPosition('evt', emitted.position, partition.number)
    return { eventId, replayed: emitted.kind === 'replayed' }
  } catch (error) {
    throw logProblem(error)
  }
}

async function waitUntilChained(
  { read, signals, stopping }: EmitDeps,
  eventId: string,
): Promise<RecordRow | undefined> {
  // The event is in the log and will be chained; a store that cannot be read now changes nothing about that.
  const look = () =>
    findRecord(read, eventId).catch((error) => {
      if (error instanceof StoreError) return undefined
      throw error
    })
  return waitFor(signals, { key: eventId, timeoutMs: CHAINED_WITHIN_MS, abort: stopping, look })
}

function keyOf(body: EmitRequest, header: string | undefined): string | undefined {
  if (header === undefined || body.idempotencyKey === undefined || header === body.idempotencyKey) {
    return header ?? body.idempotencyKey
  }
  throw new ProblemError('request.invalid', 'The Idempotency-Key header and the field idempotencyKey differ.', {
    errors: [{ pointer: '/idempotencyKey', detail: 'differs from the Idempotency-Key header' }],
  })
}

/** An idempotency key stands for one event; with another one it is a mistake of the caller that must not pass silently. */
function refuseOtherBody(record: RecordRow, { eventType, entityId }: EmitRequest, { who, data }: EmittedFact): void {
  const same =
    record.event_type === eventType && record.entity_id === entityId && record.who === who && record.data === data
  if (!same) throw new ProblemError('idempotency.conflict', `The key was used for ${record.event_id}, another event.`)
}

function userAgent(header: string | undefined): { userAgent?: string } {
  return header ? { userAgent: header.slice(0, MAX_USER_AGENT).toWellFormed() } : {}
}

/** Half of a surrogate pair has no UTF-8, and a NUL no place in a text column of PostgreSQL. */
function refuseUnstorableText(context: z.core.ParsePayload<EmitRequest>): void {
  const { entityId, metadata } = context.value
  const texts = [
    { path: ['entityId'], text: entityId },
    { path: ['metadata', 'who'], text: metadata.who },
    { path: ['metadata', 'why'], text: metadata.why ?? '' },
  ]
  for (const { path, text } of texts) {
    if (text.isWellFormed() && !text.includes('\0')) continue
    context.issues.push({ code: 'custom', input: text, path, message: 'must not hold NUL or half of a surrogate pair' })
  }
}
