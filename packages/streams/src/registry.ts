import type { QueueDefinition, Service } from '@millrace/contracts'
import type { Redis } from 'ioredis'
import { REGISTRY_KEYS } from './keys.ts'
import type { Partition } from './partition.ts'
import { register } from './scripts/register.ts'

/** A queue with the service that declares it. */
export interface RegisteredQueue {
  readonly service: Service
  readonly definition: QueueDefinition
  readonly closing: boolean
}

export interface RegistryView {
  services(): readonly Service[]
  service(namespace: string): Service | undefined
  /** The revision up to which everything was read; what was taken in by a message may be newer. */
  revision(): number
  /** Called with the namespace after a change was taken in. */
  onChange(listener: (namespace: string) => void): void
  /** Read everything again; the next sweep does it anyway. */
  refresh(): Promise<void>
  stop(): void
}

/** How often the view checks the revision, in case a change message was lost. */
const SWEEP_MS = 2000

export interface FollowOptions {
  readonly redis: Redis
  readonly subscriber: Redis
  onError(error: unknown): void
}

/** Follow the registry: what every app knows of the services, in memory, changed within milliseconds of an apply. */
export async function followRegistry({ redis, subscriber, onError }: FollowOptions): Promise<RegistryView> {
  const byNamespace = new Map<string, Service>()
  const listeners: ((namespace: string) => void)[] = []
  let revision = ''

  const take = (service: Service) => {
    const known = byNamespace.get(service.namespace)
    // A slow read may come back after a newer one; versions only rise.
    if (known && known.version >= service.version && JSON.stringify(known) === JSON.stringify(service)) return
    if (known && known.version > service.version) return
    byNamespace.set(service.namespace, service)
    for (const listener of listeners) listener(service.namespace)
  }
  const refresh = async () => {
    const current = (await redis.hget(REGISTRY_KEYS.meta, 'revision')) ?? '0'
    if (current === revision) return
    const stored = await redis.hgetall(REGISTRY_KEYS.services)
    for (const json of Object.values(stored)) take(JSON.parse(json) as Service)
    revision = current
  }
  const onMessage = (channel: string, namespace: string) => {
    if (channel !== REGISTRY_KEYS.changed) return
    readService(redis, namespace).then((service) => service && take(service), onError)
  }

  subscriber.on('message', onMessage)
  await subscriber.subscribe(REGISTRY_KEYS.changed)
  await refresh()
  const timer = setInterval(() => void refresh().catch(onError), SWEEP_MS)

  return {
    services: () => [...byNamespace.values()],
    service: (namespace) => byNamespace.get(namespace),
    revision: () => Number(revision || 0),
    onChange: (listener) => void listeners.push(listener),
    refresh,
    stop() {
      clearInterval(timer)
      subscriber.off('message', onMessage)
      // Not awaited: while Redis is away this waits for its return, and stopping must not.
      subscriber.unsubscribe(REGISTRY_KEYS.changed).catch(() => undefined)
    },
  }
}

export async function readService(redis: Redis, namespace: string): Promise<Service | undefined> {
  const json = await redis.hget(REGISTRY_KEYS.services, namespace)
  return json ? (JSON.parse(json) as Service) : undefined
}

/** What a service becomes. Without an event it stays as it is. */
export interface ServiceChange {
  readonly service: Service
  readonly event?: Readonly<Record<string, unknown>>
}

/** Change a service. Two changes at once must not undo each other: what was decided on an older version is decided again. */
export async function changeService<Change extends ServiceChange>(
  registry: Partition,
  namespace: string,
  decide: (current: Service | undefined) => Change,
): Promise<Change> {
  for (;;) {
    const current = await readService(registry.redis, namespace)
    const change = decide(current)
    const { service, event } = change
    if (!event) return change
    const expectedVersion = current?.version ?? 0
    if ((await register(registry, { service, expectedVersion, event })) === 'registered') return change
  }
}

/** The queues that a service has now, those of subscriptions made through the API included. */
export function declaredQueues({ queues, subscriptions = [] }: Service): readonly QueueDefinition[] {
  return [...queues, ...subscriptions]
}

/** All queues of a service, the closing ones included. */
export function queuesOf(service: Service): RegisteredQueue[] {
  return [
    ...declaredQueues(service).map((definition) => ({ service, definition, closing: false })),
    ...service.closing.map((definition) => ({ service, definition, closing: true })),
  ]
}
