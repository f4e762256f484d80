import type { Problem, Replay } from '@millrace/contracts'
import { BY, eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { subscribeTo } from './event-fixture.ts'
import { manifestOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ env: { MILLRACE_PARTITIONS: '4' } })
  for (const { make } of Object.values(LISTS)) await make()
})
afterAll(() => rig.stop())

interface Page {
  readonly names: string[]
  /** The address of the next page, when there is one. */
  readonly next?: string
  readonly cursor?: string
}
type Item = Readonly<Record<string, string>>

async function ask(path: string): Promise<{ items: Item[]; cursor?: string; link: string | null }> {
  const { status, headers, body } = await rig.client.call<Record<string, unknown>>('GET', path)
  expect(status, JSON.stringify(body)).toBe(200)
  const { cursor, ...rest } = body
  const items = (Array.isArray(body) ? body : Object.values(rest)[0]) as Item[]
  return { items, link: headers.get('link'), ...(typeof cursor === 'string' && { cursor }) }
}

/** One page, and where the next is: the link of an array, the cursor of everything else. */
async function pageAt(path: string, nameOf: (item: Item) => unknown): Promise<Page> {
  const { items, link, cursor: member } = await ask(path)
  const address = new URL(path, rig.client.url)
  const linked = link === null ? undefined : new URL(/^<(.*)>; rel="next"$/.exec(link)?.[1] as string, address)
  const cursor = linked?.searchParams.get('cursor') ?? member
  if (cursor !== undefined) address.searchParams.set('cursor', cursor)
  const next = linked ?? address
  const names = items.map((item) => String(nameOf(item)))
  return { names, ...(cursor !== undefined && { cursor, next: next.pathname + next.search }) }
}

const apply = async (namespace: string, queues: readonly string[]) => {
  const manifest = manifestOf(
    namespace,
    queues.map((name) => ({ name })),
  )
  const body = { manifest, url: rig.receiver.url }
  expect((await rig.client.call('PUT', `/services/${namespace}`, { body })).status).toBe(200)
}
const makeKey = async (name: string) => {
  const body = { name, grants: ['producer:shop'], ...BY }
  expect((await rig.client.call('POST', '/keys', { body })).status).toBe(201)
}
const subscribe = async (name: string) => {
  const body = { types: ['a.*'], sink: `${rig.receiver.url}/${name}`, config: { namespace: 'feeds', name } }
  expect((await rig.client.call('POST', '/subscriptions', { body })).status).toBe(201)
}
const unsubscribe = async (name: string) => {
  const init = { method: 'DELETE', headers: { 'content-type': 'application/json' }, body: JSON.stringify(BY) }
  expect((await fetch(`${rig.client.url}/subscriptions/feeds.${name}`, init)).status).toBe(204)
}

/** The newest is first, so what is made last has the lowest rate, which these go by. */
const replay = async (name: string, ratePerSecond: number) => {
  const path = `/subscriptions/replayed.${name}/replay`
  const { status, body } = await rig.client.call<Replay>('POST', path, { body: { from: 'earliest', ratePerSecond } })
  expect(status, JSON.stringify(body)).toBe(202)
  // Of two that began in one millisecond none is the newer one.
  await eventually(() => Date.now() > Date.parse(body.startedAt))
}

interface List {
  readonly path: string
  readonly nameOf: (item: Item) => unknown
  /** Makes four that sort in this order: a, c, e and g, or others. */
  make(): Promise<void>
  /** After the first page of two: what can go goes, the last of that page first, and something comes before and behind it. */
  change(): Promise<void>
  /** What the second page on has. */
  readonly behind: readonly string[]
  /** A list with a page and more whose cursors are refused here. */
  readonly foreign?: string
}

const LISTS: Readonly<Record<string, List>> = {
  services: {
    path: '/services',
    nameOf: ({ namespace }) => namespace,
    async make() {
      for (const name of ['g', 'c', 'a', 'e']) await apply(`${name}-shop`, [])
    },
    async change() {
      await apply('b-shop', [])
      await apply('d-shop', [])
    },
    behind: ['d-shop', 'e-shop', 'g-shop'],
  },
  queues: {
    path: '/queues?namespace=lines',
    nameOf: ({ queue }) => queue,
    make: () => apply('lines', ['g', 'c', 'a', 'e']),
    change: () => apply('lines', ['g', 'b', 'a', 'd']),
    // What was taken out closes behind the answer, and may still be there.
    behind: ['d', 'g'],
  },
  subscriptions: {
    path: '/subscriptions?namespace=feeds',
    nameOf: ({ id }) => id?.slice('feeds.'.length),
    async make() {
      await subscribeTo(rig.client, 'feeds', { subscriptions: [{ name: 'e' }], url: rig.receiver.url })
      for (const name of ['g', 'c', 'a']) await subscribe(name)
    },
    async change() {
      await unsubscribe('c')
      await unsubscribe('g')
      for (const name of ['b', 'd']) await subscribe(name)
    },
    behind: ['d', 'e'],
  },
  keys: {
    path: '/keys',
    nameOf: ({ name }) => name,
    async make() {
      for (const name of ['a', 'c', 'e', 'g']) await makeKey(name)
    },
    // Keys are never taken out, and a new one is always the last.
    change: () => makeKey('h'),
    behind: ['e', 'g', 'h'],
    foreign: '/queues?namespace=lines&limit=1',
  },
  'subscriptions/{id}/replays': {
    path: '/subscriptions/replayed.a/replays',
    nameOf: ({ ratePerSecond }) => ratePerSecond,
    async make() {
      await subscribeTo(rig.client, 'replayed', {
        subscriptions: [{ name: 'a' }, { name: 'b' }],
        url: rig.receiver.url,
      })
      for (const rate of [7, 5, 3, 1]) await replay('a', rate)
      for (const rate of [4, 2]) await replay('b', rate)
    },
    // A new one is always the first.
    change: () => replay('a', 0.5),
    behind: ['5', '7'],
    foreign: '/subscriptions/replayed.b/replays?limit=1',
  },
}

describe.each(Object.entries(LISTS))('GET /%s', (name, { path, nameOf, change, behind, foreign = '/keys?limit=1' }) => {
  const more = path.includes('?') ? '&' : '?'

  it('has all at once when nothing is said, in order, and page by page the same', async () => {
    const whole = await pageAt(path, nameOf)
    expect(whole.next).toBeUndefined()
    const count = whole.names.length
    expect(count).toBeGreaterThanOrEqual(4)
    if (name !== 'keys') expect(whole.names).toEqual(whole.names.toSorted())
    const first = await pageAt(`${path}${more}limit=${count - 1}`, nameOf)
    const second = await pageAt(first.next as string, nameOf)
    expect([first.names, second.names]).toEqual([whole.names.slice(0, -1), whole.names.slice(-1)])
    expect(second.next).toBeUndefined()
    const full = await pageAt(`${path}${more}limit=${count}`, nameOf)
    expect([full.names, full.next], 'a full page that is the last').toEqual([whole.names, undefined])
  })

  it('neither repeats nor loses what stayed while it changes between pages', async () => {
    const first = await pageAt(`${path}${more}limit=2`, nameOf)
    await change()
    const seen = []
    for (let next = first.next; next !== undefined; ) {
      const page = await pageAt(next, nameOf)
      seen.push(...page.names)
      next = page.next
    }
    expect(seen.filter((each) => first.names.includes(each))).toEqual([])
    expect(new Set(seen).size).toBe(seen.length)
    expect(seen.filter((each) => behind.includes(each))).toEqual(behind)
  })

  it('refuses a cursor of another list, one that is none, and pages that are too large', async () => {
    const { cursor } = await pageAt(foreign, () => '')
    expect(cursor).toBeTypeOf('string')
    for (const [query, pointer, detail] of [
      [`cursor=${cursor}`, '/cursor', /not a cursor of this list: send the one of the answer before/],
      ['cursor=garbage', '/cursor', /not a cursor of this list: send the one of the answer before/],
      ['limit=1001', '/limit', /1000/],
      ['limit=0', '/limit', /1/],
    ] as const) {
      const { status, body } = await rig.client.call<Problem>('GET', `${path}${more}${query}`)
      expect([status, body.code, body.errors?.[0]?.pointer], query).toEqual([422, 'request.invalid', pointer])
      expect(body.errors?.[0]?.detail, query).toMatch(detail)
    }
  })
})
