import {
  emit,
  fanOut,
  fullAddress,
  logEnd,
  openCursor,
  openQueues,
  pause,
  REGISTRY_KEYS,
  syncSubscriptions,
} from '@millrace/streams'
import { registerService, type Store } from './millrace.ts'
import { DATA } from './payload.ts'

export const TYPE = 'bench.sent'

/** An event as a service would publish it: what CloudEvents asks for, and the payload of the other measures. */
export function eventJson(id: number | string): string {
  const attributes = { specversion: '1.0', id: `event-${id}`, source: '/bench', type: TYPE, subject: 'bench' }
  return JSON.stringify({ ...attributes, datacontenttype: 'application/json', data: DATA })
}

/** Events straight into the log, so that who publishes costs nothing. */
export async function fillLog({ partition }: Store, count: number, say?: (text: string) => void): Promise<void> {
  const fact = { kind: 'event' as const, type: TYPE, namespace: 'bench', entityId: 'bench' }
  for (let done = 0; done < count; done += 1000) {
    if (done % 100_000 === 0 && done > 0) say?.(`${done} of ${count} events are there`)
    const facts = Array.from({ length: Math.min(1000, count - done) }, (_, i) => ({
      ...fact,
      data: eventJson(done + i),
    }))
    await emit(partition, facts)
  }
}

export interface ToSubscribe {
  readonly url: string
  /** How many subscriptions ask for the events of `fillLog`. */
  readonly matching: number
  /** How many ask for something else. */
  readonly others?: number
  readonly concurrency: number
  readonly queues?: readonly string[]
  /** Their jobs stay where they are. */
  readonly paused?: boolean
}

/** The addresses of the queues that get every event. */
export function matchingAddresses(count: number): string[] {
  return Array.from({ length: count }, (_, index) => fullAddress('bench', `subscription:all-${index}`))
}

/** Register a service with subscriptions that all stand at the end of the log, as if a router had brought them there. */
export async function subscribe(
  store: Store,
  { url, matching, others = 0, concurrency, queues = [], paused = false }: ToSubscribe,
): Promise<void> {
  const { partition } = store
  const names = [
    ...Array.from({ length: matching }, (_, index) => ({ name: `all-${index}`, type: TYPE })),
    ...Array.from({ length: others }, (_, index) => ({ name: `other-${index}`, type: `other-${index}.sent` })),
  ]
  const addresses = names.map(({ name }) => fullAddress('bench', `subscription:${name}`))
  await openQueues(
    partition,
    addresses.map((address) => ({ address })),
  )
  if (paused) {
    const by = { who: 'bench', at: new Date().toISOString() }
    for (const address of addresses) await pause(partition, { action: 'pause', address, by })
  }
  const { position } = await logEnd(partition)
  const starts = { [partition.number]: position }
  const subscriptions = names.map(({ name, type }) => ({
    name,
    subscription: { types: [type], filters: [], startFrom: 'now', since: 1, starts },
  }))
  await registerService(store, { namespace: 'bench', url, queues, subscriptions, concurrency })
  const revision = Number(await partition.redis.hget(REGISTRY_KEYS.meta, 'revision'))
  await openCursor(partition, partition)
  const told = addresses.map((address) => ({ address, since: 1, starts }))
  await syncSubscriptions(partition, { revision, subscriptions: told })
  const still = { source: partition.number, from: position, to: position, entries: 0, maxWaiting: 1, events: [] }
  for (const alone of addresses) await fanOut(partition, { ...still, revision, alone })
}
