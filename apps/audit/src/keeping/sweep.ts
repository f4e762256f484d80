import type { Logger } from '@millrace/runtime'
import type { AuditMetrics } from '../metrics.ts'
import { type StoreFinding, verifyStore } from '../queries/verify.ts'
import type { Database } from '../store/database.ts'
import type { Turn } from './duty.ts'

export interface SweepDeps {
  readonly read: Database['read']
  readonly metrics: Pick<AuditMetrics, 'verified' | 'broken' | 'swept'>
  readonly logger: Logger
}

/** Verify everything in the background, so that nobody has to ask to hear of a change. */
export async function sweep({ read, metrics, logger }: SweepDeps, { abort, pause }: Turn): Promise<void> {
  const onChain = ({ verdict }: { verdict: StoreFinding['verdict'] }) => metrics.verified.inc({ result: verdict })
  const finding = await verifyStore(read, { onChain, abort, pause })
  const trails = finding.trails.filter(({ valid }) => !valid)
  metrics.broken.set({ what: 'tampered' }, finding.tampered + trails.length)
  metrics.broken.set({ what: 'unverifiable' }, finding.unverifiable)
  metrics.swept.set({}, Date.now() / 1000)
  if (finding.valid) return
  const { verdict, tampered, unverifiable, broken } = finding
  logger.error(
    { event: 'trail.broken', verdict, tampered, unverifiable, chain: broken[0], trail: trails[0] },
    'the audit trail is not intact; GET /v1/verify says where',
  )
}

/** What another process finds is its own to tell. */
export function forgetSweep({ metrics }: Pick<SweepDeps, 'metrics'>): void {
  metrics.broken.set({ what: 'tampered' }, 0)
  metrics.broken.set({ what: 'unverifiable' }, 0)
}
