import type { NamespaceOf } from '@millrace/contracts'

/** What stands in for a service, with one of each that a route can be about. */
export const manifest = (namespace: string) => ({
  metadata: { name: namespace },
  spec: {
    queues: ['mail', 'waiting'].map((name) => ({ name, endpoint: `/internal/jobs/${name}` })),
    schedules: [{ name: 'nightly', cron: '0 2 * * *', endpoint: '/internal/cron/nightly' }],
    subscriptions: [{ name: 'orders', types: ['order.*'], endpoint: '/internal/events/orders' }],
  },
})

/** A request of a route that is about one namespace, as far as a route lets one say. */
export function requestOf(route: string, of: NamespaceOf, { namespace, job }: { namespace: string; job: string }) {
  const [method, pattern = ''] = route.split(' ')
  const path = pattern
    .replace(':namespace', namespace)
    .replace(':name', pattern.startsWith('/schedules') ? 'nightly' : 'mail')
    .replace('/*', '/e1/chain')
    .replace(/^\/subscriptions\/:id/, `/subscriptions/${namespace}.orders`)
    .replace(':id', job)
  const query = { ...(of === 'query' && { namespace }), ...MORE[route] }
  if (method === 'GET') return { route: `${method} ${path}?${new URLSearchParams(query)}`, body: undefined }
  return { route: `${method} ${path}`, body: bodyOf(route, of, namespace) }
}

const MORE: Readonly<Record<string, Record<string, string>>> = {
  'GET /__scheduled': { cron: '0 5 31 12 *' },
  'GET /v1/progress/stream': { process: 'import' },
  'GET /v1/log': { partition: '0', to: '1-0' },
}

/** What of a body the guard reads, and nothing that would let the request change anything. */
function bodyOf(route: string, of: NamespaceOf, namespace: string): unknown {
  const by = { who: 'test', why: 'test' }
  switch (route) {
    case 'POST /jobs':
      return { namespace, queue: 'nothing', data: 1 }
    case 'POST /jobs/batch':
      return { jobs: [{ namespace, queue: 'nothing', data: 1 }] }
    case 'POST /events':
      return { namespace, type: 'test.said', data: 1 }
    case 'POST /subscriptions':
      return { config: { namespace, name: 'mine' }, sink: 'http://127.0.0.1:9/', types: ['nothing.*'], ...by }
    case 'PUT /services/:namespace':
      return { manifest: manifest('someone-else'), url: 'http://127.0.0.1:9' }
    case 'POST /dead-letters/redrive':
    case 'POST /dead-letters/discard':
      return { filter: { namespace, queue: 'mail' }, ...by }
    case 'POST /v1/events/emit':
      return { namespace, eventType: 'test.said', entityId: 'e1', data: 1, metadata: { who: 'test' } }
    case 'PUT /subscriptions/:id':
      return { config: { namespace, name: 'orders' }, sink: 'http://127.0.0.1:9/', types: ['nothing.*'], ...by }
    case 'POST /jobs/:id/heartbeat':
      return { token: '1.x', leaseSeconds: 30 }
    case 'POST /jobs/:id/complete':
      return { token: '1.x' }
    case 'POST /jobs/:id/fail':
      return { token: '1.x', error: 'test' }
    case 'POST /jobs/:id/reschedule':
      return { delayMs: 3_600_000, ...by }
    case 'POST /jobs/:id/progress':
      return { title: 'x', total: 1, progress: 1 }
    case 'POST /subscriptions/:id/move':
      return { to: 'now', ...by }
    case 'POST /subscriptions/:id/replay':
      return { from: 'earliest', dryRun: true, ...by }
    case 'POST /subscriptions/try':
      return { namespace }
    case 'POST /schedules/preview':
      return { cron: '0 2 * * *' }
    case 'POST /schedules/:namespace/:name/backfills':
      return { from: '2026-01-01T00:00:00Z', to: '2026-01-01T00:00:01Z', ...by }
    case 'POST /keys':
      return { name: 'one more', grants: ['producer:shop'], ...by }
    default:
      return of === 'body' ? { namespace, ...by } : by
  }
}
