import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

/** Where a job is and what stands before it. */
export interface JobPlace {
  readonly state: 'scheduled' | 'waiting' | 'held' | 'running' | 'dead'
  readonly address: string
  readonly lane: string
  readonly dueMs?: number
  /** The dispatcher that has it. */
  readonly consumer?: string
  readonly key?: string
  /** Jobs that come before it in its lane; behind its key, counted up to 1000 or 16 MiB of their payloads, and in a lane with holes up to 1000. */
  readonly ahead: number
  /** There are more than were counted. */
  readonly moreAhead?: true
  /** A few of the jobs that run in its queue, while it waits for its turn. */
  readonly running?: readonly string[]
  /** A few of the jobs that have a slot of its key, while it waits behind it. */
  readonly keyHolders?: readonly SlotHolder[]
  readonly keyRunning: number
  readonly queueRunning: number
  readonly paused?: Paused
  readonly keyPaused?: Paused
  readonly draining?: Paused
  readonly cancelling: boolean
  /** The rate limit of its queue has no token; the next one comes in so many ms. */
  readonly rateWaitMs?: number
  /** The same of its key. */
  readonly keyRateWaitMs?: number
}

/** A job that has a slot of its key: it runs, waits for a retry that keeps the slot, or is dead and blocks the key. */
export interface SlotHolder {
  readonly id: string
  readonly state: 'running' | 'scheduled' | 'dead'
}

export interface Paused {
  readonly who: string
  readonly why?: string
  readonly at: string
}

const script = loadScript('find_job', 'no-writes')

/** Find a job that is not at its end; undefined when it is, or never was. */
export async function findJob(partition: Partition, id: string): Promise<JobPlace | undefined> {
  const reply = (await runScript(partition, script, [id])) as Reply | ['unknown']
  if (reply[0] === 'unknown') return undefined
  const [
    state,
    address,
    lane,
    due,
    consumer,
    key,
    ahead,
    keyRunning,
    paused,
    keyPaused,
    queueRunning,
    cancelling,
    rateWaitMs,
    keyRateWaitMs,
    draining,
    moreAhead,
    running,
    holders,
  ] = reply as Reply
  return {
    ...{ state, address, lane, ahead, keyRunning, queueRunning, cancelling: cancelling !== '' },
    ...(due > 0 && { dueMs: due }),
    ...(consumer !== '' && { consumer }),
    ...(key !== '' && { key }),
    ...(paused !== '' && { paused: JSON.parse(paused) as Paused }),
    ...(keyPaused !== '' && { keyPaused: JSON.parse(keyPaused) as Paused }),
    ...(draining !== '' && { draining: JSON.parse(draining) as Paused }),
    ...(moreAhead === 1 && { moreAhead: true as const }),
    ...(running.length > 0 && { running }),
    ...(holders.length > 0 && { keyHolders: toHolders(holders) }),
    ...(rateWaitMs > 0 && { rateWaitMs }),
    ...(keyRateWaitMs > 0 && { keyRateWaitMs }),
  }
}

type Reply = [
  state: JobPlace['state'],
  address: string,
  lane: string,
  due: number,
  consumer: string,
  key: string,
  ahead: number,
  keyRunning: number,
  paused: string,
  keyPaused: string,
  queueRunning: number,
  cancelling: string,
  rateWaitMs: number,
  keyRateWaitMs: number,
  draining: string,
  moreAhead: number,
  running: string[],
  holders: string[],
]

/** Ids, each followed by what the job does. */
function toHolders(pairs: readonly string[]): SlotHolder[] {
  return pairs.flatMap((id, index) => (index % 2 === 0 ? [{ id, state: pairs[index + 1] as SlotHolder['state'] }] : []))
}
