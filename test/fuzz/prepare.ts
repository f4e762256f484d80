import type { Known } from './values.ts'

const MANIFEST = {
  metadata: { name: 'fuzzed' },
  spec: {
    queues: [
      { name: 'mail', endpoint: '/internal/jobs/mail' },
      { name: 'keyed', endpoint: '/internal/jobs/keyed', keyConcurrency: 1 },
    ],
    schedules: [{ name: 'nightly', cron: '0 2 * * *', endpoint: '/internal/cron/nightly' }],
    subscriptions: [{ name: 'orders', types: ['order.*'], endpoint: '/internal/events/orders' }],
  },
}

/** Something of each kind that can be asked about; the names under which it is known, by the field that takes them. */
export async function prepare(dispatcher: string, headers: Readonly<Record<string, string>> = {}): Promise<Known> {
  const send = async (method: string, path: string, body: unknown) => {
    const response = await fetch(`${dispatcher}${path}`, {
      method,
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    })
    if (!response.ok) throw new Error(`${method} ${path} answered ${response.status}: ${await response.text()}`)
    return (await response.json()) as { id: string }
  }
  await send('PUT', '/services/fuzzed', { manifest: MANIFEST, url: 'http://127.0.0.1:9', who: 'fuzz' })
  const jobs = await Promise.all(
    ['mail', 'mail', 'keyed'].map((queue) =>
      send('POST', '/jobs', { namespace: 'fuzzed', queue, data: { a: 1 }, delayMs: 3_600_000 }),
    ),
  )
  await send('POST', '/events', { namespace: 'fuzzed', type: 'order.placed', data: { total: 1 } })
  const ids = jobs.map(({ id }) => id)
  return {
    namespace: ['fuzzed'],
    name: ['mail', 'keyed', 'nightly', 'orders'],
    queue: ['mail', 'keyed'],
    schedule: ['nightly'],
    id: [...ids, 'fuzzed.orders'],
    jobId: ids,
    ids: [ids],
    '*': [`${ids[0]}/chain`, `${ids[0]}/verify`, 'nothing/chain'],
    entityId: ids,
    manifest: [MANIFEST],
    url: ['http://127.0.0.1:9'],
    who: ['fuzz'],
    why: ['because'],
    cron: ['*/5 * * * *', '@every 5m', '0 0 31 2 *'],
    timezone: ['Europe/Berlin', 'UTC'],
    grants: [['producer:fuzzed']],
    wait: ['0', '1s'],
    sql: ["type LIKE 'order.%' AND 1 / 0 = 1", '((((((((((1))))))))))'],
    filters: [[{ sql: "type = 'order.placed'" }], [{ not: { exact: { type: 'x' } } }], [{ all: [{ all: [] }] }]],
  }
}
