import { type Backoff, type FailureReason, LANES, type LastResponse } from '@millrace/contracts'
import { digitsOf } from '../digits.ts'
import type { Partition } from '../partition.ts'
import type { ClaimedJob } from './claim.ts'
import { loadScript, runScript } from './load.ts'

/** By what rules the job is retried should its worker fail it. */
export interface LeasedPolicy {
  readonly retries: number
  readonly retryDelayMs: number
  readonly backoff: Backoff
}

interface Failure {
  readonly reason: FailureReason
  readonly durationMs: number
  readonly lastResponse: LastResponse
}

interface Success {
  readonly kind: 'succeeded'
  readonly status: number
  readonly durationMs: number
  /** What the endpoint answered, as JSON text, where it is kept as the job's result. */
  readonly result?: string
}

/** What an attempt came to. A postponed attempt is tried again without counting. */
export type Settlement =
  | Success
  | ({ readonly kind: 'retry' | 'postpone'; readonly delayMs: number } & Failure)
  | ({ readonly kind: 'dead' | 'cancelled' } & Failure)
  /** The worker took the job over for `leaseMs` and will say how it ends; the token is how it proves that it may. */
  | {
      readonly kind: 'leased'
      readonly leaseMs: number
      readonly token: string
      readonly durationMs: number
      readonly policy: LeasedPolicy
    }

export type Settled = 'settled' | 'late'

const script = loadScript('settle', 'allow-oom')

export interface SettleCall {
  readonly consumer: string
  readonly address: string
  /** The answer to the same call was lost: what is settled already is then no news. */
  readonly again?: boolean
  /** Jobs that this consumer has claimed and begun no attempt at; without it there are none, and were none at the last call. */
  readonly prefetched?: number | undefined
  readonly attempts: readonly { readonly job: ClaimedJob; readonly settlement: Settlement }[]
}

/** Settle attempts of one queue. `late`: the lease is gone, the job is in other hands, and nothing was changed. */
export async function settle(
  partition: Partition,
  { consumer, address, again, prefetched, attempts }: SettleCall,
): Promise<Settled[]> {
  const args: (string | number)[] = [consumer, address, again ? 'again' : '', prefetched ?? '']
  // Successes with nothing to give back go first, a block for each lane; `order` says where each attempt stood.
  const order: number[] = []
  const rest: number[] = []
  for (const lane of LANES) {
    const header = args.length
    attempts.forEach(({ job, settlement }, index) => {
      if (job.lane !== lane) return
      if (settlement.kind !== 'succeeded' || holdsOf(job) !== '') {
        rest.push(index)
        return
      }
      if (args.length === header) args.push('done', lane, 0)
      args.push(digitsOf(job.id), successDetail(job, settlement))
      args[header + 2] = Number(args[header + 2]) + 1
      order.push(index)
    })
  }
  for (const index of rest) {
    const { job, settlement } = attempts[index] as SettleCall['attempts'][number]
    args.push('one', job.lane, job.id, job.attempt, job.epoch, settlement.kind)
    args.push(...outcomeArguments(job, settlement))
    order.push(index)
  }
  const lates = (await runScript(partition, script, args)) as number[]
  const results = attempts.map((): Settled => 'settled')
  for (const late of lates) results[order[late] as number] = 'late'
  return results
}

type OutcomeArguments = [delayMs: number, reason: string, detail: string, last: string, holds: string]

function outcomeArguments(job: ClaimedJob, settlement: Settlement): OutcomeArguments {
  const { attempt, epoch } = job
  if (settlement.kind === 'succeeded') return [0, '', successDetail(job, settlement), '', holdsOf(job)]
  if (settlement.kind === 'leased')
    return [settlement.leaseMs, settlement.token, JSON.stringify(settlement.policy), '', '']
  const { reason, durationMs, lastResponse } = settlement
  const detail = JSON.stringify({ attempt, epoch, reason, status: lastResponse.status, durationMs })
  const delayMs = 'delayMs' in settlement ? settlement.delayMs : 0
  return [delayMs, reason, detail, JSON.stringify(lastResponse), '']
}

function successDetail({ attempt, epoch }: ClaimedJob, { status, durationMs, result }: Success): string {
  const kept = result === undefined ? '' : `,"result":${result}`
  return `{"attempt":${attempt},"epoch":${epoch},"status":${status},"durationMs":${durationMs}${kept}}`
}

/** What a job gives back when it succeeds: its keys, the note of its place, its run. Most have nothing. */
function holdsOf({ moved, meta: { key, unique, tick } }: ClaimedJob): string {
  const nothing = !moved && key === undefined && unique === undefined && tick === undefined
  return nothing ? '' : JSON.stringify({ key, unique, tick })
}
