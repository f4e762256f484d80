import type { FailureReason, LastResponse } from '@millrace/contracts'
import type { Partition } from '../partition.ts'
import type { ClaimedJob } from './claim.ts'
import { loadScript, runScript } from './load.ts'

/** What an attempt came to. `detail` is the event's own members besides attempt and epoch. */
export type Settlement =
  | { readonly kind: 'succeeded'; readonly status: number; readonly durationMs: number }
  | {
      readonly kind: 'retry'
      readonly delayMs: number
      readonly reason: FailureReason
      readonly durationMs: number
      readonly lastResponse: LastResponse
    }
  | {
      readonly kind: 'dead'
      readonly reason: FailureReason
      readonly durationMs: number
      readonly lastResponse: LastResponse
    }

export type Settled = 'settled' | 'late'

const script = loadScript('settle', 'allow-oom')

export interface SettleCall {
  readonly consumer: string
  readonly address: string
  /** The answer to the same call was lost: what is settled already is then no news. */
  readonly again?: boolean
  readonly attempts: readonly { readonly job: ClaimedJob; readonly settlement: Settlement }[]
}

/** Settle attempts of one queue. `late`: the lease is gone, the job is in other hands, and nothing was changed. */
export async function settle(
  partition: Partition,
  { consumer, address, again, attempts }: SettleCall,
): Promise<Settled[]> {
  const args: (string | number)[] = [consumer, address, again ? 'again' : '']
  for (const { job, settlement } of attempts) {
    args.push(
      job.lane,
      job.entryId,
      job.id,
      job.attempt,
      job.epoch,
      settlement.kind,
      ...outcomeArguments(job, settlement),
    )
  }
  return (await runScript(partition, script, args)) as Settled[]
}

function outcomeArguments(job: ClaimedJob, settlement: Settlement): [number, string, string, string] {
  const { attempt, epoch } = job
  if (settlement.kind === 'succeeded') {
    const { status, durationMs } = settlement
    return [0, '', `{"attempt":${attempt},"epoch":${epoch},"status":${status},"durationMs":${durationMs}}`, '']
  }
  const { reason, durationMs, lastResponse } = settlement
  const detail = JSON.stringify({ attempt, epoch, reason, status: lastResponse.status, durationMs })
  return [settlement.kind === 'retry' ? settlement.delayMs : 0, reason, detail, JSON.stringify(lastResponse)]
}
