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
const script = loadScript('fan_out', 'allow-oom', ['prelude_fan_out'])

/** Put events into the queues of the subscriptions of one partition, and move the cursor of the log that they are from. */
export async function fanOut(partition: Partition, call: FanOut): Promise<FannedOut> {
  const { source, from, to, entries, revision, alone = '', maxWaiting, events } = call
  const lists = new Map<string, number>()
  const listed: (string | number)[] = []
  const told: (string | number)[] = []
  for (const { eventId, position, json, jobs } of events) {
    const addresses = jobs.map(({ address }) => address)
    // Neither a space nor anything else of the kind is in an address.
    const name = addresses.join(' ')
    let list = lists.get(name)
    if (list === undefined) {
      list = lists.size + 1
      lists.set(name, list)
      listed.push(addresses.length, ...addresses)
    }
    const plain = jobs.every(({ meta }) => meta === '')
    told.push(eventId, position, packPayload(json), list, plain ? 'plain' : 'meta')
    if (!plain) for (const { meta } of jobs) told.push(meta)
  }
  const args = [source, from, to, entries, revision, alone, maxWaiting, lists.size, ...listed, ...told]
  const [kind, first, second] = (await runScript(partition, script, args)) as [FannedOut['kind'], unknown, unknown]
  if (kind === 'routed') return { kind, jobs: Number(first), left: Number(second) }
  return kind === 'moved' ? { kind, position: String(first) } : { kind }
}
