import type { Partition } from '../partition.ts'
import { packPayload } from '../payload.ts'
import { loadScript, runScript } from './load.ts'

/** One event with the jobs that it becomes. */
export interface RoutedEvent {
  readonly eventId: string
  readonly position: string
  /** The CloudEvent as it is delivered. */
  readonly json: string
  readonly jobs: readonly { readonly address: string; readonly meta: string }[]
}

export interface FanOut {
  /** The partition whose log the events are from. */
  readonly source: number
  readonly from: string
  readonly to: string
  readonly entries: number
  readonly revision: number
  /** The subscription that reads on its own; without it the events are for all that go with the common cursor. */
  readonly alone?: string
  /** So many jobs may wait in the queue of a subscription before it falls behind. */
  readonly maxWaiting: number
  readonly events: readonly RoutedEvent[]
}

export type FannedOut =
  | { readonly kind: 'routed'; readonly jobs: number; readonly left: number }
  | { readonly kind: 'moved'; readonly position: string }
  | { readonly kind: 'stale' | 'full' }

// Without a flag, as `enqueue`: a Redis without memory takes no new work, and the cursor stays where it is.
const script = loadScript('fan_out')

/** Put events into the queues of the subscriptions of one partition, and move the cursor of the log that they are from. */
export async function fanOut(partition: Partition, call: FanOut): Promise<FannedOut> {
  const { source, from, to, entries, revision, alone = '', maxWaiting, events } = call
  const args: (string | number)[] = [source, from, to, entries, revision, alone, maxWaiting]
  for (const { eventId, position, json, jobs } of events) {
    args.push(eventId, position, packPayload(json), jobs.length)
    for (const { address, meta } of jobs) args.push(address, meta)
  }
  const [kind, first, second] = (await runScript(partition, script, args)) as [FannedOut['kind'], unknown, unknown]
  if (kind === 'routed') return { kind, jobs: Number(first), left: Number(second) }
  return kind === 'moved' ? { kind, position: String(first) } : { kind }
}
