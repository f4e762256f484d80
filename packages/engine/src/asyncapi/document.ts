import { type QueueDefinition, type Service, subscriptionId } from '@millrace/contracts'
import { createMessages, type EventSource, type MessageCatalogue } from './messages.ts'
import { createNames } from './names.ts'

export interface AsyncApiInput {
  readonly title: string
  readonly version: string
  /** Where the reader reached the dispatcher, which takes events. */
  readonly publishUrl: string
  /** Whose events and subscriptions are described: namespaces. */
  readonly described: ReadonlySet<string>
  /** Every service: what others publish is what these may get. */
  readonly services: readonly Service[]
  /** Types that were published of late, by namespace, whether a manifest declares them or not. */
  readonly seen: ReadonlyMap<string, readonly string[]>
}

type Json = Readonly<Record<string, unknown>>

/**
 * What services publish and consume, as AsyncAPI 3.0: each namespace sends its types to `POST /events`, and receives at the
 * endpoint of each of its subscriptions the types that fit.
 */
export function buildAsyncApi({ title, version, publishUrl, described, services, seen }: AsyncApiInput): Json {
  const sources = sourcesOf(services, seen)
  const messages = createMessages(sources)
  const servers = createServers()
  const channels: Record<string, Json> = {}
  const operations: Record<string, Json> = {}

  const platform = servers.at(publishUrl, 'millrace', 'Takes events.')
  const senders = sources.filter(({ namespace, events }) => described.has(namespace) && events.length > 0)
  for (const { namespace, events } of senders) {
    const names = events.map((event) => messages.published(namespace, event))
    const known = channels.events?.messages as Json | undefined
    channels.events = {
      address: `${pathOf(publishUrl)}/events`,
      servers: [platform],
      description: 'POST a CloudEvent in structured, batch or binary mode.',
      messages: { ...known, ...refs(names) },
    }
    operations[`${namespace}.send`] = operation('send', 'events', names, {
      ...OVER_HTTP,
      title: `${namespace} publishes`,
    })
  }
  for (const service of services.filter(({ namespace }) => described.has(namespace))) {
    for (const definition of [...service.queues, ...(service.subscriptions ?? [])]) {
      if (definition.subscription) addSubscription(service, definition, { messages, servers, channels, operations })
    }
  }
  return {
    asyncapi: '3.0.0',
    info: { title, version },
    defaultContentType: 'application/cloudevents+json',
    servers: servers.all(),
    channels,
    operations,
    components: messages.components(),
  }
}

interface Building {
  readonly messages: MessageCatalogue
  readonly servers: Servers
  readonly channels: Record<string, Json>
  readonly operations: Record<string, Json>
}

function addSubscription(
  service: Service,
  definition: QueueDefinition,
  { messages, servers, channels, operations }: Building,
): void {
  const { namespace } = service
  const { name, delivery, subscription, keyConcurrency, description } = definition
  if (!subscription) return
  const { types, source, filters, startFrom } = subscription
  const id = subscriptionId(namespace, name)
  const names = messages.received(id, types)
  const isPulled = delivery === 'pull'
  // What a service takes out of Redis itself is sent to no address.
  const place = isPulled ? { address: null } : placeOf(service, definition, servers)
  channels[id] = { ...place, messages: refs(names) }
  operations[`${namespace}.receive.${name}`] = operation('receive', id, names, {
    ...(!isPulled && OVER_HTTP),
    title: `${namespace} subscribes: ${name}`,
    ...(description !== undefined && { description }),
    'x-millrace-subscription': {
      id,
      types: types.length > 0 ? types : ['*'],
      ...(source !== undefined && { source }),
      ...(filters.length > 0 && { filters }),
      startFrom,
      ...(isPulled && { delivery }),
      ...(keyConcurrency === 1 && { ordered: true }),
    },
  })
}

function placeOf({ namespace, url }: Service, { name, sink, endpoint = '' }: QueueDefinition, servers: Servers): Json {
  const address = sink ?? `${url}${endpoint}`
  const server = sink === undefined ? servers.at(url, namespace) : servers.at(address, subscriptionId(namespace, name))
  return { address: pathOf(address) || '/', servers: [server] }
}

const OVER_HTTP = { bindings: { http: { method: 'POST', bindingVersion: '0.3.0' } } }

function operation(action: 'send' | 'receive', channel: string, names: readonly string[], more: Json): Json {
  return {
    action,
    channel: { $ref: `#/channels/${channel}` },
    ...more,
    messages: names.map((name) => ({ $ref: `#/channels/${channel}/messages/${name}` })),
  }
}

function refs(names: readonly string[]): Json {
  return Object.fromEntries(names.map((name) => [name, { $ref: `#/components/messages/${name}` }]))
}

/** Declared types, then those that were only seen; everything in the order of the alphabet, so that a document only changes with what it describes. */
function sourcesOf(services: readonly Service[], seen: AsyncApiInput['seen']): EventSource[] {
  const byNamespace = new Map(services.map((service) => [service.namespace, service]))
  const namespaces = [...new Set([...byNamespace.keys(), ...seen.keys()])].toSorted()
  return namespaces.map((namespace) => {
    const declared = byNamespace.get(namespace)?.events ?? []
    const types = new Set(declared.map(({ type }) => type))
    const others = (seen.get(namespace) ?? []).filter((type) => !types.has(type)).toSorted()
    return {
      namespace,
      events: [
        ...declared.map((event) => ({ ...event, declared: true })),
        ...others.map((type) => ({ type, onMismatch: 'refuse' as const, declared: false })),
      ],
    }
  })
}

interface Servers {
  /** A reference to the server of an address, which is made when it is first asked for. */
  at(url: string, wanted: string, description?: string): { readonly $ref: string }
  all(): Json
}

function createServers(): Servers {
  const names = createNames()
  // What services are called must not be taken for what every object has.
  const servers: Record<string, Json> = Object.create(null)
  return {
    at(url, wanted, description) {
      const { host, protocol } = new URL(url)
      const name = names.of(`${protocol}//${host} ${wanted}`, wanted)
      servers[name] ??= { host, protocol: protocol.slice(0, -1), ...(description && { description }) }
      return { $ref: `#/servers/${name}` }
    },
    all: () => servers,
  }
}

/**
 * The path of an address, without a slash at its end. Braces would be parameters there. The query stays out: whoever made
 * a subscription may have put a secret into that of its sink.
 */
function pathOf(url: string): string {
  return new URL(url).pathname.replace(/\/$/, '').replaceAll('{', '%7B').replaceAll('}', '%7D')
}
