import { isPlatformEvent, manifestQueueSchema } from '@millrace/contracts'
import { faultOfSchema } from './event-schema.ts'
import { compileFilters } from './filter/filters.ts'
import { faultsOfSchedule } from './schedule/manifest-faults.ts'

type Raw = Readonly<Record<string, unknown>>

/** A mistake in one item of a manifest's list, by where it stands in the item. */
export interface ItemFault {
  readonly path: readonly PropertyKey[]
  readonly detail: string
}

/** What a schema cannot say: endpoints, rules of time, fields that mean something only together with others. */
export function faultsOfItem(raw: Raw, { list, routes }: { list: string; routes: readonly string[] }): ItemFault[] {
  const faults: [field: string, detail: string | undefined][] = [
    // Whoever subscribes may well do so at a public address; that is only warned of.
    ['endpoint', list === 'subscriptions' ? undefined : faultOfEndpoint(raw.endpoint, routes)],
    ['type', list === 'events' ? faultOfType(raw.type) : undefined],
    ['schema', list === 'events' ? faultOfSchema(raw.schema) : undefined],
    ['endpoint', faultOfDelivery(raw, list)],
    [
      'onStatus',
      raw.delivery === 'pull' && raw.onStatus !== undefined
        ? 'is about answers over HTTP, which a queue with delivery: pull has none of: throw NoRetry or RetryAfter in the handler'
        : undefined,
    ],
    ...(list === 'schedules' ? faultsOfSchedule(raw) : []),
    [
      'onDead',
      raw.onDead !== undefined && raw.keyConcurrency !== 1 ? 'has a meaning with keyConcurrency: 1 only' : undefined,
    ],
    [
      'keyRateLimit',
      raw.keyRateLimit !== undefined && raw.keyConcurrency === undefined ? 'needs keyConcurrency as well' : undefined,
    ],
    ['backoff', faultOfBackoff(raw.backoff)],
    ['concurrency', faultOfConcurrency(raw)],
  ]
  return [
    ...faults.flatMap(([field, detail]) => (detail === undefined ? [] : [{ path: [field], detail }])),
    ...(list === 'subscriptions' ? faultsOfFilters(raw.filters) : []),
  ]
}

function faultsOfFilters(filters: unknown): ItemFault[] {
  // What is no list was named by the schema.
  if (!Array.isArray(filters)) return []
  const compiled = compileFilters(filters)
  if (compiled.kind === 'compiled') return []
  return compiled.mistakes.map(({ pointer, detail }) => {
    const inner = pointer
      .split('/')
      .slice(1)
      .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
    return { path: ['filters', ...inner], detail }
  })
}

/** Here and not in the schema, by which stored services are read too: a later version may publish more types itself. */
function faultOfType(type: unknown): string | undefined {
  if (typeof type !== 'string' || !isPlatformEvent(type)) return undefined
  return `"${type}" is a type that only the platform itself publishes: choose another, or subscribe to it`
}

const ENDPOINTS: Readonly<Record<string, string>> = {
  queues: 'below /internal/ such as /internal/jobs/sync-record',
  subscriptions: 'such as /internal/events/orders',
}

/** A queue is pushed to an endpoint or pulled by consumers, never both. */
function faultOfDelivery({ delivery, endpoint }: Raw, list: string): string | undefined {
  const expected = ENDPOINTS[list]
  if (expected === undefined) return undefined
  if (delivery === 'pull') {
    if (endpoint === undefined) return undefined
    return 'is where a dispatcher would send jobs, but with delivery: pull the service takes them itself: take one of the two out'
  }
  if (endpoint !== undefined) return undefined
  return `is required: expected a path ${expected}, or delivery: pull`
}

/** Endpoints of jobs and ticks are internal: never outside /internal/, never published as a route as well. */
function faultOfEndpoint(endpoint: unknown, routes: readonly string[]): string | undefined {
  if (typeof endpoint !== 'string' || !endpoint.startsWith('/')) return undefined
  if (!endpoint.startsWith('/internal/'))
    return `"${endpoint}" must start with /internal/, so that no gateway publishes it`
  if (!routes.some((route) => matchesRoute(route, endpoint))) return undefined
  return `"${endpoint}" also stands in spec.routes, which would make it public: take it out there`
}

function matchesRoute(route: string, endpoint: string): boolean {
  const bare = endpoint.split('?')[0] as string
  return route === bare || (route.endsWith('/*') && bare.startsWith(route.slice(0, -1)))
}

function faultOfBackoff(backoff: unknown): string | undefined {
  if (!isRecord(backoff) || (backoff.type === 'list') === (backoff.delaysMs !== undefined)) return undefined
  return 'type list and delaysMs go together'
}

/** A batch is made of jobs that run, so a limit below its size would be its size. */
function faultOfConcurrency({ batch, concurrency = manifestQueueSchema.shape.concurrency.parse(undefined) }: Raw) {
  const size = isRecord(batch) ? batch.maxSize : undefined
  if (typeof size !== 'number' || typeof concurrency !== 'number' || concurrency >= size) return undefined
  return `counts jobs, and with ${concurrency} no batch reaches its maxSize of ${size}: ${size} is for one request at a time, ${2 * size} for two`
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
