import { asyncApiFaults, eventually } from '@millrace/testkit'
import { request } from 'undici'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { publish, subscribeTo } from './event-fixture.ts'
import { type Rig, startRig } from './fixture.ts'

interface Document {
  readonly info: Record<string, unknown>
  readonly servers: Record<string, { host: string }>
  readonly channels: Record<string, { address: string | null; servers?: unknown }>
  readonly operations: Record<string, { messages: { $ref: string }[]; bindings?: unknown }>
}

let rig: Rig
beforeAll(async () => {
  // The validator is compiled at its first use, which would hold up a dispatcher in the same process.
  asyncApiFaults({})
  rig = await startRig()
  const schema = { type: 'object', properties: { total: { $ref: '#/$defs/money' } }, $defs: { money: { minimum: 0 } } }
  await subscribeTo(rig.client, 'shop', {
    subscriptions: [],
    url: rig.receiver.url,
    spec: { events: [{ type: 'order.paid', schema }] },
  })
  await subscribeTo(rig.client, 'shipping', {
    subscriptions: [{ name: 'orders', types: ['order.*'], filters: [{ sql: "subject LIKE 'o%'" }] }],
    url: rig.receiver.url,
  })
  const config = { namespace: 'shipping', name: 'hook' }
  const made = { types: ['job.dead_lettered'], sink: 'https://hooks.test/in?token=secret', config }
  expect((await rig.client.call('POST', '/subscriptions', { body: made })).status).toBe(201)
})
afterAll(() => rig.stop())

const read = async (query = '') => {
  const { status, body } = await rig.client.call<Document>('GET', `/asyncapi.json${query}`)
  expect(status).toBe(200)
  expect(asyncApiFaults(body)).toEqual([])
  return body
}
const messagesOf = (document: Document, operation: string) =>
  document.operations[operation]?.messages.map(({ $ref }) => $ref.split('/').at(-1))

describe('GET /asyncapi.json', () => {
  it('describes one service: what it publishes, what it consumes, and where', async () => {
    const shop = await read('?namespace=shop')
    expect(shop.info).toEqual({ title: 'Events of shop', version: '1' })
    expect(messagesOf(shop, 'shop.send')).toEqual(['shop.order.paid'])
    expect(shop.servers.millrace?.host).toBe(new URL(rig.client.url).host)
    const shipping = await read('?namespace=shipping')
    expect(Object.keys(shipping.operations)).toEqual(['shipping.receive.orders', 'shipping.receive.hook'])
    expect(messagesOf(shipping, 'shipping.receive.orders')).toEqual(['shop.order.paid', 'shipping.orders.other'])
    expect(JSON.stringify(shipping)).not.toContain('secret')
  })

  it('knows the types that are published without being declared', async () => {
    await publish(rig.client, 'order.lost', { namespace: 'shop' })
    await publish(rig.client, 'nobodys.own')
    await publish(rig.client, 'order.odd', { namespace: 'not-registered' })
    await eventually(async () => {
      expect(messagesOf(await read('?namespace=shop'), 'shop.send')).toEqual(['shop.order.paid', 'shop.order.lost'])
      expect(messagesOf(await read(), 'default.send')).toEqual(['default.nobodys.own'])
      expect(Object.keys((await read('?namespace=not-registered')).operations)).toEqual(['not-registered.send'])
      return true
    })
    expect(Object.keys((await read()).operations)).toEqual([
      'default.send',
      'not-registered.send',
      'shop.send',
      'shipping.receive.orders',
      'shipping.receive.hook',
    ])
  })

  it('has an address that can be read, whatever the reader calls us', async () => {
    const hosts = ['millrace.test:8080', '[::1]:7401', 'x{y}', 'a b']
    const documents = await Promise.all(
      hosts.map(async (host) => {
        const { body } = await request(`${rig.client.url}/asyncapi.json`, { headers: { host } })
        return (await body.json()) as Document
      }),
    )
    expect(documents.map((document) => document.servers.millrace?.host)).toEqual([
      'millrace.test:8080',
      '[::1]:7401',
      '127.0.0.1',
      '127.0.0.1',
    ])
  })

  it('is refused for a service that there is not, and for what it does not know', async () => {
    const refused = async (query: string) => {
      const { status, body } = await rig.client.call('GET', `/asyncapi.json${query}`)
      return [status, body.code]
    }
    expect(await refused('?namespace=none')).toEqual([404, 'service.unknown'])
    expect(await refused('?namespace=NO')).toEqual([422, 'request.invalid'])
    expect(await refused('?service=shop')).toEqual([422, 'request.invalid'])
  })

  it('has no address for what a service takes out of Redis itself', async () => {
    const config = { namespace: 'shop', name: 'pulled', delivery: 'pull' }
    expect((await rig.client.call('POST', '/subscriptions', { body: { types: ['order.*'], config } })).status).toBe(201)
    const { channels, operations } = await read('?namespace=shop')
    expect(channels['shop.pulled']).toMatchObject({ address: null })
    expect(operations['shop.receive.pulled']).toMatchObject({ 'x-millrace-subscription': { delivery: 'pull' } })
    expect([channels['shop.pulled']?.servers, operations['shop.receive.pulled']?.bindings]).toEqual([
      undefined,
      undefined,
    ])
  })
})
