import type { LastResponse } from '@millrace/contracts'
import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'
import type { LeasedPolicy } from './settle.ts'

/** What a worker says of a job that it holds. */
export type WorkerWord =
  | { readonly kind: 'extend'; readonly leaseMs: number }
  | { readonly kind: 'succeeded'; readonly result?: string }
  | { readonly kind: 'retry'; readonly delayMs: number; readonly lastResponse: LastResponse }
  | { readonly kind: 'dead'; readonly lastResponse: LastResponse }

/** What is known of a job that a worker holds. */
export interface LeasedJob {
  readonly address: string
  readonly attempt: number
  readonly epoch: number
  readonly policy: LeasedPolicy
}

const script = loadScript('settle_leased', 'allow-oom')

/** The job that a worker holds under this token; undefined when it holds it no longer. */
export async function readLeased(
  partition: Partition,
  { id, token }: { id: string; token: string },
): Promise<LeasedJob | undefined> {
  const text = await partition.redis.hget(`${partition.keys.tag}:leased`, id)
  const leased = text ? (JSON.parse(text) as Omit<LeasedJob, 'policy'> & { token: string; policy: string }) : undefined
  if (leased?.token !== token) return undefined
  const { address, attempt, epoch, policy } = leased
  return { address, attempt, epoch, policy: JSON.parse(policy) as LeasedPolicy }
}

/** Do as the worker says, if the job is still its own. `lost`: it must stop. */
export async function settleLeased(
  partition: Partition,
  { id, token, leased, word }: { id: string; token: string; leased: LeasedJob; word: WorkerWord },
): Promise<'extended' | 'settled' | 'lost'> {
  const args = [id, token, word.kind, ...wordArguments(leased, word)]
  return (await runScript(partition, script, args)) as 'extended' | 'settled' | 'lost'
}

type WordArguments = [ms: number, reason: string, detail: string, last: string]

function wordArguments({ attempt, epoch }: LeasedJob, word: WorkerWord): WordArguments {
  if (word.kind === 'extend') return [word.leaseMs, '', '', '']
  if (word.kind === 'succeeded') {
    const kept = word.result === undefined ? '' : `,"result":${word.result}`
    return [0, '', `{"attempt":${attempt},"epoch":${epoch},"leased":true${kept}}`, '']
  }
  const detail = JSON.stringify({ attempt, epoch, reason: 'worker_failed', leased: true })
  return [word.kind === 'retry' ? word.delayMs : 0, 'worker_failed', detail, JSON.stringify(word.lastResponse)]
}
