import type { Role } from './access.ts'

/**
 * Where a request says which namespace it is about:
 * `path`, `query`, `body`: the member `namespace` of it; where it is optional and missing, the request is about all namespaces.
 * `config`, `filter`: the same inside that member of the body; `jobs`: of each of the jobs in it.
 * `subscription`: in its id, `<namespace>.<name>`; `id`: of what that id names, which the app finds out.
 * `handler`: only the handler can tell, and asks. `all`: it is about all namespaces; `any`: about none.
 */
export type NamespaceOf =
  | 'path'
  | 'query'
  | 'body'
  | 'config'
  | 'filter'
  | 'jobs'
  | 'subscription'
  | 'id'
  | 'handler'
  | 'all'
  | 'any'

/**
 * Who may call a route: one of these roles, in the namespace that the request is about. `open`: whoever reaches the port.
 * `metrics`: the same, until an installation has a key for it; then who shows that key, or is one of METRICS_READERS.
 */
export type RouteAccess = 'open' | 'metrics' | RoleAccess
export interface RoleAccess {
  readonly roles: readonly Role[]
  readonly of: NamespaceOf
}

const READERS = ['producer', 'worker', 'operator', 'auditor'] as const
const may = (roles: readonly Role[], of: NamespaceOf): RoleAccess => ({ roles, of })

/** Metrics name the queues and services of every namespace. */
export const METRICS_READERS = may(['operator', 'auditor'], 'all')

/** What every app has. Health and metrics tell no payload, and the tools that read them often know no keys. */
const OPERATIONS: Readonly<Record<string, RouteAccess>> = {
  'GET /livez': 'open',
  'GET /readyz': 'open',
  'GET /metrics': 'metrics',
  'GET /openapi.json': 'open',
}

/**
 * Every route of every app, and who may call it; an admin may call all of them. An app does not start with a route that is
 * missing here, and a test calls each with each role.
 */
export const ACCESS = {
  dispatcher: {
    ...OPERATIONS,
    'POST /jobs': may(['producer'], 'body'),
    'POST /jobs/batch': may(['producer'], 'jobs'),
    'POST /jobs/:id/cancel': may(['producer', 'operator'], 'id'),
    'POST /jobs/:id/reschedule': may(['producer', 'operator'], 'id'),
    'POST /jobs/:id/retry': may(['operator'], 'id'),
    'GET /jobs/:id/explain': may(READERS, 'id'),
    'POST /jobs/:id/heartbeat': may(['worker'], 'id'),
    'POST /jobs/:id/complete': may(['worker'], 'id'),
    'POST /jobs/:id/fail': may(['worker'], 'id'),
    'POST /jobs/:id/progress': may(['worker'], 'id'),
    'GET /queues': may(READERS, 'query'),
    'GET /queues/:namespace/:name/balance': may(READERS, 'path'),
    'POST /queues/:namespace/:name/pause': may(['operator'], 'path'),
    'POST /queues/:namespace/:name/resume': may(['operator'], 'path'),
    'POST /queues/:namespace/:name/drain': may(['operator'], 'path'),
    'POST /queues/:namespace/:name/purge': may(['operator'], 'path'),
    'GET /dead-letters': may(READERS, 'query'),
    'GET /dead-letters/groups': may(READERS, 'query'),
    'GET /dead-letters/:id': may(READERS, 'id'),
    'POST /dead-letters/redrive': may(['operator'], 'filter'),
    'POST /dead-letters/discard': may(['operator'], 'filter'),
    'GET /redrives': may(READERS, 'query'),
    'GET /redrives/:id': may(READERS, 'id'),
    'POST /redrives/:id/stop': may(['operator'], 'id'),
    'GET /services': may(READERS, 'all'),
    'GET /services/:namespace': may(READERS, 'path'),
    'PUT /services/:namespace': may(['operator'], 'path'),
    'GET /services/:namespace/secrets': may(['operator', 'auditor'], 'path'),
    'POST /services/:namespace/secrets/rotate': may(['operator'], 'path'),
    'POST /services/:namespace/secrets/:id/revoke': may(['operator'], 'path'),
    'POST /secrets/reseal': may(['admin'], 'all'),
    'POST /events': may(['producer'], 'handler'),
    'GET /events': may(READERS, 'query'),
    'GET /events/stream': may(READERS, 'query'),
    'GET /subscriptions': may(READERS, 'query'),
    'POST /subscriptions': may(['operator'], 'config'),
    'POST /subscriptions/try': may(READERS, 'body'),
    'GET /subscriptions/:id': may(READERS, 'subscription'),
    'PUT /subscriptions/:id': may(['operator'], 'subscription'),
    'DELETE /subscriptions/:id': may(['operator'], 'subscription'),
    'POST /subscriptions/:id/move': may(['operator'], 'subscription'),
    'POST /subscriptions/:id/replay': may(['operator'], 'subscription'),
    'GET /subscriptions/:id/replays': may(READERS, 'subscription'),
    'POST /replays/:id/stop': may(['operator'], 'id'),
    'GET /asyncapi.json': may(READERS, 'query'),
    'POST /keys': may(['admin'], 'all'),
    'GET /keys': may(['admin', 'auditor'], 'all'),
    'POST /keys/:id/rotate': may(['admin'], 'all'),
    'POST /keys/:id/revoke': may(['admin'], 'all'),
  },
  scheduler: {
    ...OPERATIONS,
    'GET /schedules': may(READERS, 'query'),
    'POST /schedules/preview': may(READERS, 'any'),
    'POST /schedules/:namespace/:name/trigger': may(['operator'], 'path'),
    'POST /schedules/:namespace/:name/pause': may(['operator'], 'path'),
    'POST /schedules/:namespace/:name/resume': may(['operator'], 'path'),
    'GET /schedules/:namespace/:name/ledger': may(READERS, 'path'),
    'POST /schedules/:namespace/:name/backfills': may(['operator'], 'path'),
    'GET /schedules/:namespace/:name/backfills': may(READERS, 'path'),
    'GET /schedules/:namespace/:name/backfills/:id': may(READERS, 'path'),
    'POST /schedules/:namespace/:name/backfills/:id/stop': may(['operator'], 'path'),
    // Fires what has that expression, of whatever namespace; outside production only.
    'GET /__scheduled': may(['operator'], 'all'),
  },
  audit: {
    ...OPERATIONS,
    'POST /v1/events/emit': may(['producer'], 'body'),
    'GET /v1/events': may(['auditor'], 'query'),
    'GET /v1/events/count': may(['auditor'], 'query'),
    'GET /v1/events/*': may(['auditor'], 'query'),
    'GET /v1/verify': may(['auditor'], 'all'),
    'GET /v1/export': may(['auditor'], 'query'),
    'POST /v1/subjects/:id/erase': may(['admin'], 'body'),
    'GET /v1/holds': may(['auditor'], 'all'),
    'POST /v1/holds': may(['operator'], 'body'),
    'POST /v1/holds/:id/release': may(['operator'], 'all'),
    'GET /v1/log': may(['auditor'], 'all'),
    'GET /v1/jobs': may(READERS, 'query'),
    'GET /v1/jobs/:id': may(READERS, 'handler'),
    'GET /v1/jobs/:id/events': may(READERS, 'handler'),
    'GET /v1/jobs/:id/progress/stream': may(READERS, 'handler'),
    'GET /v1/progress/stream': may(READERS, 'query'),
    'GET /v1/stream': may(['operator', 'auditor'], 'query'),
    'GET /v1/dead-letters': may(READERS, 'query'),
    'GET /v1/attempts': may(READERS, 'query'),
    'GET /v1/schedules': may(READERS, 'query'),
    'GET /v1/ticks': may(READERS, 'query'),
    'GET /v1/subscriptions': may(READERS, 'query'),
    'GET /v1/gas': may(READERS, 'query'),
    'GET /v1/stats/queues': may(READERS, 'query'),
    'POST /v1/rebuild': may(['operator'], 'all'),
    'GET /v1/rebuild': may(['operator', 'auditor'], 'all'),
  },
} as const satisfies Record<string, Readonly<Record<string, RouteAccess>>>
export type AppName = keyof typeof ACCESS
