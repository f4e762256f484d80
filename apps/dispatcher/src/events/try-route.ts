import { comparePositions, type LogEvent, tryRequestSchema } from '@millrace/contracts'
import { eventIdOf, fitsTypes, matcherOf, mayHear, toCloudEvent } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import { type Partition, type Partitions, readLogBackwards } from '@millrace/streams'
import { z } from 'zod'
import type { Grants } from '../router/subscription-view.ts'
import { faultsOfFilters, refuseIfAny } from './subscription-object.ts'

export interface TryDeps {
  readonly partitions: Partitions
  readonly grants: Grants
}

const PAGE = 500
/** Between the events of services lie those of jobs; a look back ends after so many entries of a log. */
const MAX_ENTRIES = 50_000

const seenSchema = z.object({
  id: z.string(),
  type: z.string(),
  source: z.unknown(),
  subject: z.unknown().optional(),
  matches: z.boolean(),
})

/** `POST /subscriptions/try`. */
export function addTryRoute(server: AppServer, { partitions, grants }: TryDeps): void {
  server.post(
    '/subscriptions/try',
    {
      schema: {
        summary: 'Which of the last events a subscription would have matched',
        body: tryRequestSchema,
        response: {
          200: z.object({
            looked: z.int().describe('events that were looked at'),
            matched: z.int(),
            events: z.array(seenSchema).describe('newest first'),
          }),
        },
      },
    },
    async (request) => {
      const { namespace = '', types, source, filters, last } = request.body
      refuseIfAny(faultsOfFilters(filters))
      const matches = matcherOf({ source, filters })
      const isForUs = (event: LogEvent) =>
        event.kind === 'event' ||
        (event.kind !== 'audit' && fitsTypes(types, event.type) && mayHear(namespace, event.namespace, grants))
      const newest = await Promise.all(partitions.all.map((partition) => lookBack(partition, { isForUs, last })))
      const events = newest
        .flat()
        .toSorted((a, b) => comparePositions(b.position, a.position))
        .slice(0, last)
        .map((event) => {
          const { attributes } = toCloudEvent(event)
          const { type, source, subject } = attributes
          const fits = fitsTypes(types, event.type) && matches(attributes)
          return {
            id: eventIdOf(event),
            type: String(type),
            source,
            ...(subject !== undefined && { subject }),
            matches: fits,
          }
        })
      return { looked: events.length, matched: events.filter((event) => event.matches).length, events }
    },
  )
}

async function lookBack(
  partition: Partition,
  { isForUs, last }: { isForUs(event: LogEvent): boolean; last: number },
): Promise<LogEvent[]> {
  const found: LogEvent[] = []
  let from = '+'
  for (let looked = 0; looked < MAX_ENTRIES && found.length < last; looked += PAGE) {
    const page = await readLogBackwards(partition, { from, count: PAGE })
    found.push(...page.filter(isForUs))
    if (page.length < PAGE) break
    from = `(${page.at(-1)?.position}`
  }
  return found.slice(0, last)
}
