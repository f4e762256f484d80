import { timingSafeEqual } from 'node:crypto'
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

interface StoredLease extends Omit<LeasedJob, 'policy'> {
  readonly token: string
  readonly policy: string
}

const script = loadScript('settle_leased', 'allow-oom')

/** The job that a worker holds under this token; undefined when it holds it no longer. */
export async function readLeased(
  partition: Partition,
  { id, token }: { id: string; token: string },
): Promise<LeasedJob | undefined> {
  const leased = await readStored(partition, id)
  if (!leased || !isSame(leased.token, token)) return undefined
  const { address, attempt, epoch, policy } = leased
  return { address, attempt, epoch, policy: JSON.parse(policy) as LeasedPolicy }
}

/** Whether somebody may speak of a job: nobody holds it under a lease, or this token is that of the attempt that does. */
export async function mayReport(
  partition: Partition,
  { id, token }: { id: string; token: string | undefined },
): Promise<boolean> {
  const leased = await readStored(partition, id)
  return leased === undefined || (token !== undefined && isSame(leased.token, token))
}

async function readStored({ redis, keys }: Partition, id: string): Promise<StoredLease | undefined> {
  const text = await redis.hget(`${keys.tag}:leased`, id)
  return text ? (JSON.parse(text) as StoredLease) : undefined
}

/** In the same time wherever they differ. */
function isSame(token: string, said: string): boolean {
  const [a, b] = [Buffer.from(token), Buffer.from(said)]
  return a.length === b.length && timingSafeEqual(a, b)
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
