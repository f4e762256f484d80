import { VERSION } from '@millrace/runtime'
import { eventually, startReceiver } from '@millrace/testkit'
import { findPlace, getJson, startUp } from '../e2e/platform.ts'
import { type Content, pack, writtenVersions } from './home.ts'

// Writes the data folder of this version, for all later ones to read: `node test/upgrade/write-home.ts`, once a release.

if (writtenVersions().includes(VERSION)) {
  console.error(`There is a data folder of ${VERSION} already, and what a version wrote does not change.`)
  process.exit(1)
}
const place = await findPlace()
const platform = await startUp(place)
const service = await startReceiver()
const { dispatcher, scheduler, audit } = place.urls

async function call<T>(url: string, body?: unknown, method = 'POST'): Promise<T> {
  const init = {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body ?? { who: 'test' }),
  }
  const response = await fetch(url, init)
  const text = await response.text()
  if (!response.ok) throw new Error(`${url}: ${response.status} ${text}`)
  return JSON.parse(text) as T
}

const queue = (name: string, more = {}) => ({ name, endpoint: `/internal/${name}`, retries: 0, ...more })
const manifest = {
  metadata: { name: 'shop' },
  spec: {
    queues: [queue('mail'), queue('fails'), queue('later'), queue('in-order', { keyConcurrency: 1 })],
    schedules: [{ name: 'often', cron: '@every 1s', endpoint: '/internal/often' }],
    subscriptions: [{ name: 'paid', types: ['order.*'], endpoint: '/internal/paid' }],
  },
}
await call(`${dispatcher}/services/shop`, { manifest, url: service.url, who: 'test' }, 'PUT')
const { secret: signingSecret } = await call<{ secret: string }>(`${dispatcher}/services/shop/secrets/rotate`)
for (const name of ['later', 'in-order']) await call(`${dispatcher}/queues/shop/${name}/pause`)
await call(`${dispatcher}/queues/shop/subscription:paid/pause`)
service.script('/internal/fails', { status: 500, body: '{"no":"such customer"}' })
service.script('/internal/mail', { status: 200, body: '{"sent":true}' })

const enqueue = async (name: string, more = {}) =>
  (await call<{ id: string }>(`${dispatcher}/jobs`, { namespace: 'shop', queue: name, data: { name }, ...more })).id
const large = Array.from({ length: 400 }, (_, index) => ({
  line: index,
  text: `é ${index} ☃`,
  big: 2 ** 53 + 2 * index,
}))
const succeeded = await enqueue('mail')
const dead = await enqueue('fails')
const waiting = [
  await enqueue('later', { priority: 'high' }),
  await enqueue('later'),
  await enqueue('later', { data: large }),
]
const byKey: Record<string, string[]> = { ada: [], eve: [] }
for (const key of ['ada', 'ada', 'eve', 'ada']) byKey[key]?.push(await enqueue('in-order', { key }))
const inTenYears = new Date(Date.now() + 10 * 365 * 86_400_000).toISOString()
const scheduled = await enqueue('mail', { runAt: inTenYears, retries: 3, data: { name: 'scheduled' } })
const events: string[] = []
for (const type of ['order.paid', 'order.sent']) {
  const published = await call<{ id: string }>(`${dispatcher}/events?namespace=shop`, { type, data: { type } })
  events.push(published.id)
}
for (const eventType of ['customer.created', 'customer.changed']) {
  const emitted = { namespace: 'shop', eventType, entityId: 'customer-7', data: { mail: 'ada@example.org' } }
  await call(`${audit}/v1/events/emit`, { ...emitted, metadata: { who: 'ada' } })
}
await service.waitFor('/internal/often', 3)
await call(`${scheduler}/schedules/shop/often/pause`)
const stateOf = async (id: string) => (await getJson<{ state?: string }>(`${audit}/v1/jobs/${id}`)).state
await eventually(async () => (await stateOf(succeeded)) === 'succeeded' && (await stateOf(dead)) === 'dead')
await eventually(
  async () =>
    (await getJson<{ data: { events: unknown[] } }>(`${audit}/v1/events?namespace=shop&entityId=customer-7`)).data
      .events.length === 2,
)
await call(`${audit}/v1/subjects/customer-7/erase`, { who: 'test', why: 'a letter of 3 May' })
interface Ledger {
  readonly entries: readonly { readonly at: string; readonly state: string; readonly outcome?: string }[]
}
const firedOf = async () => {
  const { entries } = await getJson<Ledger>(`${scheduler}/schedules/shop/often/ledger?limit=1000`)
  return entries.filter(({ state }) => state === 'fired' || state === 'late')
}
await eventually(async () => (await firedOf()).every(({ outcome }) => outcome === 'succeeded'))
const fired = (await firedOf()).map(({ at }) => at)
const { records } = await getJson<{ records: number }>(`${audit}/v1/verify`)
await platform.stop()
await service.stop()
const content: Content = {
  ...{ manifest, signingSecret, succeeded, dead, waiting, large, byKey, scheduled, events, fired, records },
  erased: 'customer-7',
}
console.log(`wrote ${pack(VERSION, place.home, content)}`)
await place.remove()
