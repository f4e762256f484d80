import { type ChainFinding, LEVELS, VERDICTS } from '@millrace/engine'
import type { AppServer } from '@millrace/runtime'
import { z } from 'zod'
import { type StoreFinding, verifyStore } from '../queries/verify.ts'
import type { EventDeps } from './event-routes.ts'

const storeFindingSchema = z.object({
  verdict: z.enum(VERDICTS),
  valid: z.boolean(),
  chains: z.int(),
  records: z.int(),
  erased: z.int().describe('records without their payload, as a record says'),
  tampered: z.int().describe('chains that were'),
  unverifiable: z.int(),
  broken: z
    .array(
      z.object({
        namespace: z.string(),
        entityId: z.string(),
        verdict: z.enum(VERDICTS),
        level: z.enum(LEVELS),
        brokenAt: z.int(),
        eventId: z.string().optional(),
        reason: z.string(),
      }),
    )
    .describe('the first hundred broken chains'),
  trails: z
    .array(
      z.object({
        partition: z.string(),
        records: z.int(),
        valid: z.boolean(),
        brokenAt: z.int().optional(),
        reason: z.string().optional(),
      }),
    )
    .describe('the sequence of each partition: whether a record is missing altogether'),
})

/** Verify everything. Whoever asks while it runs gets the same answer: twice the work would find nothing more. */
export function addVerifyRoute(server: AppServer, { read, metrics, stopping }: EventDeps): void {
  let running: Promise<StoreFinding> | undefined
  const onChain = ({ verdict }: ChainFinding) => metrics.verified.inc({ result: verdict })
  const verify = () => {
    running ??= verifyStore(read, { onChain, abort: stopping }).finally(() => {
      running = undefined
    })
    return running
  }
  server.route({
    method: 'GET',
    url: '/v1/verify',
    schema: { summary: 'Verify every chain and every trail', response: { 200: storeFindingSchema } },
    handler: async () => verify() as Promise<z.infer<typeof storeFindingSchema>>,
  })
}
