import type { QueueDefinition, RateLimit } from '@millrace/contracts'
import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

/** So many starts in a period, with room for a burst. */
export interface Rate {
  readonly limit: number
  readonly periodMs: number
  readonly burst: number
}

/** What the scripts enforce for a queue, besides its concurrency. */
export interface Limits {
  readonly keyConcurrency?: number
  /** What a dead letter does to its key where keys are served in order. */
  readonly onDead?: 'skip' | 'block'
  readonly rate?: Rate
  readonly keyRate?: Rate
  /** The queue is pulled: no dispatcher takes over from it. */
  readonly pull?: true
}

export interface QueueToOpen {
  readonly address: string
  readonly limits?: Limits
}

/** What of a queue's definition the scripts enforce. */
export function limitsOf({ keyConcurrency, onDead, rateLimit, keyRateLimit, delivery }: QueueDefinition): Limits {
  return {
    ...(keyConcurrency !== undefined && { keyConcurrency, onDead: onDead ?? 'skip' }),
    ...(rateLimit && { rate: toRate(rateLimit) }),
    ...(keyRateLimit && { keyRate: toRate(keyRateLimit) }),
    ...(delivery === 'pull' && { pull: true }),
  }
}

function toRate({ limit, periodMs, burst = limit }: RateLimit): Rate {
  return { limit, periodMs, burst }
}

const script = loadScript('open_queue', 'allow-oom', ['prelude_raise'])

/** Make sure that queues exist, with their limits. Returns how many were new. */
export async function openQueues(partition: Partition, queues: readonly QueueToOpen[]): Promise<number> {
  if (queues.length === 0) return 0
  const args = queues.flatMap(({ address, limits }) => [
    address,
    limits && Object.keys(limits).length > 0 ? JSON.stringify(limits) : '',
  ])
  let opened = 0
  for (let unfinished = 1; unfinished === 1; ) {
    const reply = (await runScript(partition, script, args)) as [number, number]
    opened += reply[0]
    unfinished = reply[1]
  }
  return opened
}
