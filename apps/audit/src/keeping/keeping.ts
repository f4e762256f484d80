import type { AuditConfig } from '../config.ts'
import { type Duty, startDuty } from './duty.ts'
import { prune, type RetentionDeps } from './retention.ts'
import { forgetSweep, type SweepDeps, sweep } from './sweep.ts'

export interface KeepingDeps extends SweepDeps, Omit<RetentionDeps, 'rules'>, Pick<Duty, 'holder'> {
  readonly config: Pick<AuditConfig, 'MILLRACE_AUDIT_SWEEP_MS' | 'MILLRACE_AUDIT_RETENTION' | 'MILLRACE_AUDIT_PRUNE_MS'>
}

/** What one audit process at a time does for the trail: verify it all now and then, and prune payloads. */
export function startKeeping({ config, ...deps }: KeepingDeps): { stop(): Promise<void> } {
  const { MILLRACE_AUDIT_SWEEP_MS: sweepMs, MILLRACE_AUDIT_PRUNE_MS: pruneMs, MILLRACE_AUDIT_RETENTION: rules } = config
  const { holder, clock, logger, partitions } = deps
  const shared = { holder, clock, logger, partition: partitions.all[0] as Duty['partition'] }
  const duties = [
    ...(sweepMs > 0 ? [sweepDuty(sweepMs)] : []),
    ...(rules
      ? [startDuty({ ...shared, name: 'prune', everyMs: pruneMs, run: (turn) => prune({ ...deps, rules }, turn) })]
      : []),
  ]
  return {
    async stop() {
      await Promise.all(duties.map((duty) => duty.stop()))
    },
  }

  function sweepDuty(everyMs: number) {
    const onLost = () => forgetSweep(deps)
    return startDuty({ ...shared, name: 'sweep', everyMs, run: (turn) => sweep(deps, turn), onLost })
  }
}
