import { METRICS_READERS, type NamespaceOf, ProblemError, type Role, type RouteAccess } from '@millrace/contracts'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import { type Authenticator, shows } from './authenticator.ts'
import { isAllowed, isAllowedSomewhere, type Principal } from './principal.ts'
import type { Quotas } from './quotas.ts'
import { subscriptionNamespace, textIn } from './said.ts'
import { isRefusal, type WatchOptions, watchAnswer } from './watch-answer.ts'

declare module 'fastify' {
  interface FastifyRequest {
    /** Who sent it; undefined where no authentication is configured. */
    principal: Principal | undefined
    /** Refuse unless the sender may do this in that namespace; for handlers whose request does not say it in a place of its own. */
    requireNamespace(namespace: string): void
  }
}

export interface GuardOptions {
  /** Who may call which route, by `METHOD /path`. */
  readonly table: Readonly<Record<string, RouteAccess>>
  /** Undefined: no authentication is configured, and everybody who reaches the port may do everything. */
  readonly authenticate?: Authenticator | undefined
  /** How much each may ask; of no use where nobody is told apart. */
  readonly quotas?: Quotas | undefined
  /** With it metrics are no longer open where keys are needed: for those who show it, and METRICS_READERS. */
  readonly metricsKey?: string | undefined
  /** The namespace of what an id in a path names; undefined when it names nothing, which the handler will say. */
  namespaceOf?(id: string, request: FastifyRequest): Promise<string | undefined>
  /** Ends an answer that is still being given to somebody who may not come in any more. */
  readonly end: WatchOptions['end']
  /** How often that is asked; for tests, which have less time. */
  readonly recheckMs?: number
}

/** Means all namespaces. */
const ALL = '*'

/**
 * Stand in front of every route of an app: find out who asks before the body is read, and before the handler runs whether
 * they may do this in the namespace that the request is about. A route that is not in the table cannot be added. Who is
 * refused later, while an answer goes on, loses it.
 */
export function guard(server: FastifyInstance, options: GuardOptions): void {
  const { authenticate, quotas, metricsKey, namespaceOf, end, recheckMs } = options
  const table = withMetrics(options.table, metricsKey)
  server.decorateRequest('principal', undefined)
  server.decorateRequest('requireNamespace', function requireOf(this: FastifyRequest, namespace: string) {
    const access = accessOf(table, this)
    if (this.principal && access !== 'open') requireRole(this.principal, access.roles, namespace)
  })
  server.addHook('onRoute', ({ method, url }) => {
    for (const each of [method].flat()) {
      // HEAD comes with every GET; OPTIONS is nobody's.
      if (each !== 'HEAD' && !table[`${each} ${url}`])
        throw new Error(`${each} ${url} is not in the table of who may call what: add it to ACCESS in contracts`)
    }
  })
  if (!authenticate) return

  server.addHook('onRequest', async (request, reply) => {
    const access = request.is404 ? 'open' : accessOf(table, request)
    // Before any key is looked up: what is wrong with Redis is read from the metrics.
    const mayScrape = metricsKey !== undefined && shows(request.headers.authorization, metricsKey)
    const isScrape = mayScrape && options.table[routeOf(request)] === 'metrics'
    if (access === 'open' || isScrape) return quotas?.ofAddress(request, reply)
    const principal = await authenticate(request.headers.authorization).catch((error) => {
      // Who goes on with a key that is refused is told to wait; those who share the address and have a good one are not.
      if (isRefusal(error)) quotas?.ofAddress(request, reply)
      throw error
    })
    quotas?.ofPrincipal(principal, reply)
    if (!isAllowedSomewhere(principal, access.roles)) throw forbidden(principal, access.roles, ALL)
    request.principal = principal
    // Only what is read can go on being read; what was handed in was judged when it came.
    if (request.method !== 'GET') return
    const check = () => authenticate(request.headers.authorization)
    watchAnswer(reply, { check, end, ...(recheckMs !== undefined && { everyMs: recheckMs }) })
  })
  server.addHook('preValidation', async (request) => {
    if (request.principal) signWith(request.principal, request)
  })
  server.addHook('preHandler', async (request) => {
    const access = accessOf(table, request)
    if (!request.principal || access === 'open') return
    for (const namespace of await namespacesOf(access.of, request, namespaceOf))
      requireRole(request.principal, access.roles, namespace)
  })
}

/** With what is said of metrics decided. */
type Table = Readonly<Record<string, Exclude<RouteAccess, 'metrics'>>>

function withMetrics(table: GuardOptions['table'], metricsKey: string | undefined): Table {
  const metrics = metricsKey === undefined ? 'open' : METRICS_READERS
  return Object.fromEntries(
    Object.entries(table).map(([route, access]) => [route, access === 'metrics' ? metrics : access]),
  )
}

function accessOf(table: Table, request: FastifyRequest): Table[string] {
  return table[routeOf(request)] ?? 'open'
}

function routeOf({ method, routeOptions }: FastifyRequest): string {
  return `${method === 'HEAD' ? 'GET' : method} ${routeOptions.url}`
}

/** The namespaces that a request is about; none where the handler asks, or nobody can be harmed. */
async function namespacesOf(
  of: NamespaceOf,
  request: FastifyRequest,
  namespaceOf: GuardOptions['namespaceOf'],
): Promise<readonly string[]> {
  const { params, query, body } = request
  switch (of) {
    case 'path':
      return [textIn(params, 'namespace') ?? ALL]
    case 'query':
      return [textIn(query, 'namespace') ?? ALL]
    case 'body':
      return [textIn(body, 'namespace') ?? ALL]
    case 'config':
    case 'filter':
      return [textIn((body as Record<string, unknown>)[of], 'namespace') ?? ALL]
    case 'jobs':
      return [...new Set((body as { jobs: unknown[] }).jobs.flatMap((job) => textIn(job, 'namespace') ?? []))]
    case 'subscription':
      return [subscriptionNamespace(textIn(params, 'id') ?? '') ?? ALL]
    case 'id': {
      const namespace = await namespaceOf?.(textIn(params, 'id') ?? '', request)
      return namespace === undefined ? [] : [namespace]
    }
    case 'handler':
    case 'any':
      return []
    case 'all':
      return [ALL]
    default:
      return of satisfies never
  }
}

function requireRole(principal: Principal, roles: readonly Role[], namespace: string): void {
  if (!isAllowed(principal, roles, namespace)) throw forbidden(principal, roles, namespace)
}

function forbidden({ name, grants }: Principal, roles: readonly Role[], namespace: string): ProblemError {
  const has = grants.map((grant) => `${grant.role}:${grant.namespace}`).join(', ') || 'nothing'
  const where =
    namespace === ALL ? 'all namespaces (*); name one where the request can' : `the namespace "${namespace}"`
  return new ProblemError(
    'auth.forbidden',
    `This needs ${[...new Set([...roles, 'admin'])].join(' or ')} for ${where}. "${name}" has ${has}.`,
  )
}

/**
 * What a person is recorded as having done is proved by their key, not by what they wrote: the name of the key is added to
 * the `who` of a request, and stands alone where the request names nobody.
 */
function signWith({ name }: Principal, request: FastifyRequest): void {
  const body = request.body
  if (typeof body !== 'object' || body === null || Array.isArray(body) || Buffer.isBuffer(body)) return
  if (!asksWho(request)) return
  const said = (body as { who?: unknown }).who
  if (said !== undefined && typeof said !== 'string') return
  Object.assign(body, { who: said === undefined || said === name ? name : `${said} (${name})`.slice(0, 200) })
}

function asksWho({ routeOptions }: FastifyRequest): boolean {
  const schema = routeOptions.schema?.body as { shape?: Record<string, unknown> } | undefined
  return schema?.shape !== undefined && 'who' in schema.shape
}
