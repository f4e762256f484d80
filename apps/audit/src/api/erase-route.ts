import { eraseRequestSchema, eraseResultSchema, problemSchema } from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import type { Partitions } from '@millrace/streams'
import { z } from 'zod'
import { type RecordedDeps, stateErasure, subjectEntity, waitUntilRecorded } from '../keeping/erase.ts'
import { findSubjectRecords } from '../queries/subjects.ts'

export interface EraseDeps extends RecordedDeps {
  readonly partitions: Partitions
  readonly stopping: AbortSignal
}

/** One event names at most this many places: it is read again at each verification. */
export const PLACES_PER_EVENT = 10_000
/** How long the answer waits for the recorder. What was stated is done either way. */
const DONE_WITHIN_MS = 10_000

/** `POST /v1/subjects/{id}/erase`. */
export function addEraseRoute(server: AppServer, { partitions, stopping, ...deps }: EraseDeps): void {
  server.route({
    method: 'POST',
    url: '/v1/subjects/:id/erase',
    schema: {
      summary: "Destroy the payloads and salts of a person's records; every hash still verifies",
      params: z.object({ id: z.string().min(1).max(500) }),
      body: eraseRequestSchema,
      response: {
        200: eraseResultSchema.describe('done, or a dry run'),
        202: eraseResultSchema.describe('stated in the log; the recorder does it as soon as it can'),
        422: problemSchema,
      },
    },
    async handler(request, reply) {
      const { id } = request.params
      const { namespace, fields, dryRun, who, why } = request.body
      const { places, held } = await findSubjectRecords(deps.read, { id, namespace, fields, abort: stopping })
      const found = { matching: places.length + held, held }
      if (dryRun) return reply.status(200).send({ ...found, erased: 0, eventIds: [] })
      const eventIds: string[] = []
      // Also where nothing is left to erase: that somebody asked, and was told so, is on record.
      for (let from = 0; from === 0 || from < places.length; from += PLACES_PER_EVENT) {
        const some = places.slice(from, from + PLACES_PER_EVENT)
        eventIds.push(await stateErasure(partitions, some, { entityId: subjectEntity(id), who, why }))
      }
      const waits = { timeoutMs: DONE_WITHIN_MS, abort: stopping }
      const recorded = await Promise.all(eventIds.map((eventId) => waitUntilRecorded(deps, eventId, waits)))
      const isDone = recorded.every((record) => record !== undefined)
      return reply.status(isDone ? 200 : 202).send({ ...found, erased: places.length, eventIds })
    },
  })
}
