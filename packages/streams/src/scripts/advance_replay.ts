import type { Partition } from '../partition.ts'
import { packPayload } from '../payload.ts'
import { loadScript, runScript } from './load.ts'

/** So long a replay that has ended is remembered. */
const REPLAY_KEPT_MS = 30 * 86_400_000

export interface ReplayAdvance {
  readonly id: string
  /** Of the subscription. */
  readonly address: string
  /** The state as it was read; undefined begins a replay. */
  readonly from?: string
  readonly to: string
  readonly running: boolean
  readonly event?: { readonly type: string; readonly data: Record<string, unknown> }
  /** Events to put in with this step, as they are delivered, each with the meta of its job as JSON. */
  readonly jobs?: readonly { readonly meta: string; readonly json: string }[]
  /** With so many waiting jobs the queue has enough. */
  readonly maxWaiting: number
}

// Without a flag, as `enqueue`: a Redis without memory takes no new work, and the replay stays where it is.
const script = loadScript('advance_replay')

/**
 * Take a replay from the state that was read to the next one. `conflict`: it is in another state; `full`: its queue takes no
 * jobs now. Then nothing was changed.
 */
export async function advanceReplay(
  partition: Partition,
  { id, address, from = '', to, running, event, jobs = [], maxWaiting }: ReplayAdvance,
): Promise<'advanced' | 'conflict' | 'full'> {
  const [kind] = (await runScript(partition, script, [
    ...[id, from, to, running ? 'running' : 'ended', REPLAY_KEPT_MS, address, maxWaiting],
    ...[event?.type ?? '', event ? JSON.stringify(event.data) : ''],
    ...jobs.flatMap(({ meta, json }) => [meta, packPayload(json)]),
  ])) as ['advanced' | 'conflict' | 'full']
  return kind
}

/** The state of a replay as it is kept. */
export async function readReplay({ redis, keys }: Partition, id: string): Promise<string | undefined> {
  return (await redis.hget(keys.replays, id)) ?? undefined
}

/** The states of all replays of a partition that are remembered, in no order. */
export function readReplays({ redis, keys }: Partition): Promise<string[]> {
  return redis.hvals(keys.replays)
}

/** The ids of the replays that run. */
export function runningReplays({ redis, keys }: Partition): Promise<string[]> {
  return redis.zrangebyscore(keys.replayEnds, '+inf', '+inf')
}
