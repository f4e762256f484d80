import { asyncApiFaults, followReference } from '@millrace/testkit'
import { Ajv } from 'ajv'
import addFormats from 'ajv-formats'
import { describe, expect, it } from 'vitest'
import { buildAsyncApi, decideApply, parseManifest } from '../../src/index.ts'

const serviceOf = (namespace: string, spec: Record<string, unknown>, url = `http://${namespace}.test:3000/base/`) => {
  const parsed = parseManifest({ metadata: { name: namespace }, spec })
  if (parsed.kind === 'refused') throw new Error(JSON.stringify(parsed.mistakes))
  const { declaration } = parsed
  return decideApply({ declaration, url: url.replace(/\/$/, ''), who: 'test', at: '2026-01-01T00:00:00.000Z' }).service
}
const subscription = (name: string, more: Record<string, unknown> = {}) => ({
  name,
  endpoint: `/internal/events/${name}`,
  ...more,
})
const money = {
  type: 'object',
  required: ['cents'],
  properties: { cents: { $ref: '#/$defs/cents' } },
  $defs: { cents: { type: 'integer' } },
}
const shop = serviceOf('shop', {
  events: [
    { type: 'order.paid', schema: money, description: 'somebody has paid' },
    { type: 'order.seen', schema: true, onMismatch: 'warn' },
    { type: 'odd/type{x}', schema: false },
    { type: 'bare' },
  ],
})
const kiosk = serviceOf('kiosk', { events: [{ type: 'order.paid', schema: { type: 'object' } }] })
const shipping = serviceOf('shipping', {
  subscriptions: [
    subscription('paid', { types: ['order.paid'], source: '/shop', filters: [{ prefix: { subject: 'o/' } }] }),
    subscription('orders', { types: ['order.*'], keyConcurrency: 1, description: 'everything of orders' }),
    subscription('all'),
    subscription('alerts', { types: ['job.dead_lettered', 'nobody.publishes'] }),
  ],
})
const services = [shop, kiosk, shipping]
const build = (described: string[], more: Partial<Parameters<typeof buildAsyncApi>[0]> = {}) =>
  buildAsyncApi({
    title: 'Test',
    version: '1',
    publishUrl: 'https://millrace.test/prefix',
    described: new Set(described),
    services,
    seen: new Map([
      ['shop', ['order.paid', 'order.lost']],
      ['default', ['plain']],
    ]),
    ...more,
  }) as unknown as Document
interface Document {
  readonly channels: Record<string, { address: string; servers: { $ref: string }[]; messages: Record<string, unknown> }>
  readonly operations: Record<string, { action: string; messages: { $ref: string }[]; [field: string]: unknown }>
  readonly servers: Record<string, unknown>
  readonly components: { readonly messages: Record<string, Message> }
}
interface Message {
  readonly name?: string
  readonly description?: string
  readonly payload: unknown
}
const namesOf = (document: Document, operation: string) =>
  document.operations[operation]?.messages.map(({ $ref }) => $ref.split('/').at(-1))

describe('an AsyncAPI document', () => {
  it('is valid, of one service, of all, and of one that has nothing', () => {
    const nothing = serviceOf('nothing', { queues: [{ name: 'work', endpoint: '/internal/work' }] })
    expect(asyncApiFaults(build(['shop']))).toEqual([])
    expect(asyncApiFaults(build(['shipping']))).toEqual([])
    expect(asyncApiFaults(build(['shop', 'kiosk', 'shipping', 'default']))).toEqual([])
    expect(asyncApiFaults(build(['nothing'], { services: [nothing] }))).toEqual([])
  })

  it('is valid whatever services and types are called', () => {
    const events = ['__proto__', 'constructor', 'a/b', 'a~b', 'a_b', 'a b'.replace(' ', '{}'), '中'].map((type) => ({
      type,
      schema: true,
    }))
    const odd = serviceOf('constructor', { events, subscriptions: [subscription('all')] })
    const document = build(['constructor'], { services: [odd], seen: new Map() })
    expect(asyncApiFaults(document)).toEqual([])
    expect(new Set(namesOf(document, 'constructor.send')).size).toBe(events.length)
    expect(namesOf(document, 'constructor.receive.all')).toHaveLength(events.length + 1)
    expect(Object.keys(document.components.messages)).toHaveLength(events.length + 1)
  })

  it('has what a service publishes: what it declares, and what it was seen to publish', () => {
    const document = build(['shop'])
    expect(Object.keys(document.operations)).toEqual(['shop.send'])
    expect(namesOf(document, 'shop.send')).toEqual([
      'shop.order.paid',
      'shop.order.seen',
      'shop.odd_type_x_',
      'shop.bare',
      'shop.order.lost',
    ])
    expect(document.channels.events?.address).toBe('/prefix/events')
    expect(document.servers).toEqual({
      millrace: { host: 'millrace.test', protocol: 'https', description: 'Takes events.' },
    })
    const { messages } = document.components
    expect(messages['shop.order.paid']).toMatchObject({ name: 'order.paid', description: 'somebody has paid' })
    expect(messages['shop.order.seen']?.description).toContain('is published as well')
    expect(messages['shop.order.lost']?.description).toContain('does not declare it')
  })

  it('has what a service consumes, where and by which filters', () => {
    const document = build(['shipping'])
    const all = ['paid', 'orders', 'all', 'alerts'].map((name) => `shipping.receive.${name}`)
    expect(Object.keys(document.operations)).toEqual(all)
    expect(document.operations['shipping.receive.paid']).toMatchObject({
      action: 'receive',
      'x-millrace-subscription': {
        id: 'shipping.paid',
        types: ['order.paid'],
        source: '/shop',
        filters: [{ prefix: { subject: 'o/' } }],
        startFrom: 'now',
      },
    })
    const channel = document.channels['shipping.paid']
    expect([channel?.address, channel?.servers]).toEqual([
      '/base/internal/events/paid',
      [{ $ref: '#/servers/shipping' }],
    ])
    expect(namesOf(document, 'shipping.receive.orders')).toEqual([
      'shop.order.lost',
      'order.paid',
      'shop.order.seen',
      'shipping.orders.other',
    ])
    expect(document.operations['shipping.receive.orders']).toMatchObject({
      description: 'everything of orders',
      'x-millrace-subscription': { ordered: true },
    })
    expect(namesOf(document, 'shipping.receive.alerts')).toEqual(['job.dead_lettered', 'nobody.publishes'])
    expect(namesOf(document, 'shipping.receive.all')).toContain('default.plain')
    expect(namesOf(document, 'shipping.receive.all')).not.toContain('job.dead_lettered')
  })

  it('shows no query of a sink, which may hold a secret', () => {
    const [queue] = shipping.queues
    const made = { ...shipping, queues: [], subscriptions: [{ ...queue!, sink: 'https://hooks.test/{a}/?key=secret' }] }
    const document = build(['shipping'], { services: [made] })
    expect(asyncApiFaults(document)).toEqual([])
    expect(document.channels['shipping.paid']).toMatchObject({
      address: '/%7Ba%7D',
      servers: [{ $ref: '#/servers/shipping.paid' }],
    })
    expect(JSON.stringify(document)).not.toContain('secret')
  })

  it('has messages of which each event fits exactly one', () => {
    const document = build(['shipping', 'shop'])
    const ajv = new Ajv({ strict: false })
    addFormats.default(ajv)
    ajv.addSchema(document, 'doc')
    const fitting = (operation: string, event: Record<string, unknown>) =>
      document.operations[operation]?.messages
        .map(({ $ref }) => (followReference($ref, document) as { $ref: string }).$ref)
        .filter((ref) => ajv.compile({ $ref: `doc${ref}/payload` })(event))
        .map((ref) => ref.split('/').at(-1))
    const event = { specversion: '1.0', id: '1', source: '/s' }
    const orders = 'shipping.receive.orders'
    expect(fitting(orders, { ...event, type: 'order.paid', data: { cents: 1 } })).toEqual(['order.paid'])
    expect(fitting(orders, { ...event, type: 'order.new' })).toEqual(['shipping.orders.other'])
    expect(fitting(orders, { ...event, type: 'orders' })).toEqual([])
    expect(fitting('shop.send', { ...event, type: 'order.paid', data: { cents: 1 } })).toEqual(['shop.order.paid'])
    expect(fitting('shop.send', { ...event, type: 'order.paid', data: { cents: 'one' } })).toEqual([])
    expect(fitting('shop.send', { ...event, type: 'odd/type{x}', data: 1 })).toEqual([])
    expect(fitting('shop.send', { type: 'bare' })).toEqual([])
  })
})
