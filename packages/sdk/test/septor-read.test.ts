import { type Receiver, startReceiver } from '@millrace/testkit'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { MillraceError, Septor } from '../src/index.ts'

let audit: Receiver
let septor: Septor

beforeEach(async () => {
  audit = await startReceiver()
  septor = new Septor({ apiUrl: audit.url, namespace: 'billing', apiKey: 'secret' })
})

afterEach(() => audit.stop())

it('queries within its namespace by every filter', async () => {
  const page = { success: true, data: { events: [], cursor: 'next' } }
  audit.script('/v1/events', { body: page })
  const since = new Date('2030-01-01T00:00:00Z')
  const filter = { eventType: 'policy.*', who: 'a&b', since, limit: '100', cursor: undefined }
  expect(await septor.query(filter)).toEqual(page)

  const url = new URL(audit.requests()[0]?.url ?? '', audit.url)
  expect(Object.fromEntries(url.searchParams)).toEqual({
    namespace: 'billing',
    eventType: 'policy.*',
    who: 'a&b',
    since: '2030-01-01T00:00:00.000Z',
    limit: '100',
  })
  expect(audit.requests()[0]?.headers.authorization).toBe('Bearer secret')
})

it('counts within its namespace by the same filters', async () => {
  const counted = { success: true, data: { count: 7, complete: true, lookedAt: 9 } }
  audit.script('/v1/events/count', { body: counted })
  const filter = { text: 'late fee', field: 'customer.id', equals: 7, until: '2031-01-01T00:00:00Z' }
  expect(await septor.count(filter)).toEqual(counted)
  const url = new URL(audit.requests()[0]?.url ?? '', audit.url)
  expect(Object.fromEntries(url.searchParams)).toEqual({ namespace: 'billing', ...filter, equals: '7' })
  expect(audit.requests()[0]?.headers.authorization).toBe('Bearer secret')
})

it('verifies and reads the chain of an entity whose id needs escaping', async () => {
  const verdict = { success: true, data: { valid: false, totalEvents: 3, brokenAt: 1 } }
  const chain = { success: true, data: { chain: [], valid: true, totalEvents: 0 } }
  audit.script('/v1/events/%40scope%2Fname%401.0.0/verify', { body: verdict })
  audit.script('/v1/events/%40scope%2Fname%401.0.0/chain', { body: chain })
  expect(await septor.verify('@scope/name@1.0.0')).toEqual(verdict)
  expect(await septor.getChain('@scope/name@1.0.0')).toEqual(chain)
  expect(audit.requests().map((request) => new URL(request.url, audit.url).search)).toEqual([
    '?namespace=billing',
    '?namespace=billing',
  ])
})

it('throws when a read is refused', async () => {
  audit.script('/v1/events/pol_1/verify', { status: 404, body: 'nothing' })
  await expect(septor.verify('pol_1')).rejects.toMatchObject({ code: 'sdk.refused', status: 404 })
})

it('refuses a missing address when it is made', () => {
  expect(() => new Septor({ apiUrl: undefined as unknown as string, namespace: 'billing' })).toThrow(MillraceError)
})
