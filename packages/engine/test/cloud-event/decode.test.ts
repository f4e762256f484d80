import { ProblemError } from '@millrace/contracts'
import { describe, expect, it } from 'vitest'
import { decodeHeader } from '../../src/cloud-event/binary.ts'
import { decodeEvents } from '../../src/index.ts'

const REQUIRED = { specversion: '1.0', id: 'e-1', source: '/shop/orders', type: 'order.paid' }
const HEADERS = {
  'ce-specversion': ['1.0'],
  'ce-id': ['e-1'],
  'ce-source': ['/shop/orders'],
  'ce-type': ['order.paid'],
}

const structured = (text: string | Buffer, contentType = 'application/cloudevents+json') =>
  decodeEvents({ contentType, headers: {}, body: Buffer.from(text) })
const batch = (text: string) => structured(text, 'application/cloudevents-batch+json')
const binary = (
  body: string | Buffer,
  { contentType, headers = {} }: { contentType?: string; headers?: Record<string, string[]> } = {},
) => decodeEvents({ contentType, headers: { ...HEADERS, ...headers }, body: Buffer.from(body) })?.[0]

const refusal = (decode: () => unknown) => {
  try {
    decode()
  } catch (error) {
    if (error instanceof ProblemError) return error.errors ?? error.code
    throw error
  }
  return undefined
}
const event = (more: Record<string, unknown>) => JSON.stringify({ ...REQUIRED, ...more })

describe('structured mode', () => {
  it('keeps the event byte for byte, big numbers and order included', () => {
    const text = `{ "type":"order.paid","id":"e-1", "source":"/shop/orders","specversion":"1.0",\n"data":{"cents":12345678901234567890,"e":1.0}}`
    const [decoded] = structured(text) ?? []
    expect(decoded?.json).toBe(text)
    expect(decoded?.attributes).toEqual(REQUIRED)
  })

  it.each([
    ['extensions of each type', { myint: -5, mybool: true, mytext: '' }, { myint: -5, mybool: true, mytext: '' }],
    ['null as not there', { subject: null, myext: null, time: null }, {}],
    ['a time with an offset', { time: '2026-01-31T12:00:00.123+02:00' }, { time: '2026-01-31T12:00:00.123+02:00' }],
    ['data in base64', { data_base64: 'aGk=' }, {}],
    ['data that is null', { data: null }, {}],
  ])('takes %s', (_what, more, attributes) => {
    expect(structured(event(more))?.[0]?.attributes).toMatchObject(attributes)
  })

  it.each([
    ['no id', { id: undefined }, '/id'],
    ['an empty id', { id: '' }, '/id'],
    ['another version', { specversion: '0.3' }, '/specversion'],
    ['a source that is no URI reference', { source: 'my shop' }, '/source'],
    ['an empty subject', { subject: '' }, '/subject'],
    ['a time without a zone', { time: '2026-01-31T12:00:00' }, '/time'],
    ['a schema without a scheme', { dataschema: 'schemas/order' }, '/dataschema'],
    ['a content type that is none', { datacontenttype: 'json' }, '/datacontenttype'],
    ['a name in upper case', { myExt: 'a' }, '/myExt'],
    ['a fraction as an extension', { myext: 1.5 }, '/myext'],
    ['a number beyond 32 bits as an extension', { myext: 2147483648 }, '/myext'],
    ['an object as an extension', { myext: {} }, '/myext'],
    ['control characters', { subject: 'a\u0007b' }, '/subject'],
    ['half a surrogate', { subject: 'a\ud800' }, '/subject'],
    ['data twice', { data: 1, data_base64: 'aGk=' }, '/data_base64'],
    ['base64 that is none', { data_base64: '***' }, '/data_base64'],
    ["the platform's own types", { type: 'job.dead_lettered' }, '/type'],
  ])('refuses %s', (_what, more, pointer) => {
    expect(refusal(() => structured(event(more)))).toEqual([expect.objectContaining({ pointer })])
  })

  it('refuses what is not UTF-8, not JSON, in another charset or format', () => {
    expect(refusal(() => structured(Buffer.from([0x22, 0xff, 0x22])))).toBe('request.malformed_json')
    expect(refusal(() => structured('{'))).toBe('request.malformed_json')
    expect(refusal(() => structured(event({}), 'application/cloudevents+json; charset=latin1'))).toBe(
      'request.unsupported_media_type',
    )
    expect(refusal(() => structured('<a/>', 'application/cloudevents+xml'))).toBe('request.unsupported_media_type')
  })

  it('refuses what readers could take for different events', () => {
    const twice = `${event({}).slice(0, -1)},"\\u0074ype":"order.lost","data":{"a":1,"a":2}}`
    expect(refusal(() => structured(twice))).toEqual([{ pointer: '/type', detail: 'must stand there once' }])
    const proto = `${event({}).slice(0, -1)},"__proto__":"x"}`
    expect(refusal(() => structured(proto))).toEqual([expect.objectContaining({ pointer: '/__proto__' })])
  })

  it('refuses data that nests too deep', () => {
    const text = `${event({}).slice(0, -1)},"data":${'['.repeat(600)}${']'.repeat(600)}}`
    expect(refusal(() => structured(text))).toEqual([expect.objectContaining({ pointer: '/data' })])
  })
})

describe('batch mode', () => {
  it('cuts each event out as it stands', () => {
    const [first, second] = [event({ data: [1, 2] }), event({ id: 'e-2', data: { a: ' ] ' } })]
    expect(batch(`[ ${first} ,\n${second}]`)?.map(({ json }) => json)).toEqual([first, second])
  })

  it('takes none when one is wrong, and names each mistake', () => {
    expect(refusal(() => batch(`[${event({})},${event({ id: '' })},${event({ source: ' ' })}]`))).toMatchObject([
      { pointer: '/1/id' },
      { pointer: '/2/source' },
    ])
    expect(refusal(() => batch('[]'))).toEqual([expect.objectContaining({ pointer: '' })])
    expect(refusal(() => batch(event({})))).toEqual([expect.objectContaining({ pointer: '' })])
  })
})

describe('binary mode', () => {
  it('puts JSON in as it came', () => {
    const decoded = binary('{"cents":12345678901234567890}', { contentType: 'application/json' })
    expect(decoded?.json).toBe(
      '{"specversion":"1.0","id":"e-1","source":"/shop/orders","type":"order.paid","datacontenttype":"application/json","data":{"cents":12345678901234567890}}',
    )
  })

  it.each([
    ['text', 'héllo "you"', 'text/plain', { data: 'héllo "you"' }],
    ['xml', '<a/>', 'application/atom+xml', { data: '<a/>' }],
    ['other JSON', '[1]', 'application/vnd.order+json', { data: [1] }],
    ['text in another charset', Buffer.from([0xe9]), 'text/plain; charset=latin1', { data_base64: '6Q==' }],
    ['bytes', Buffer.from([0, 255]), 'application/octet-stream', { data_base64: 'AP8=' }],
  ])('carries %s', (_what, body, contentType, data) => {
    expect(JSON.parse(binary(body, { contentType })?.json ?? '')).toEqual({
      ...REQUIRED,
      datacontenttype: contentType,
      ...data,
    })
  })

  it('takes an event without data', () => {
    expect(JSON.parse(binary('')?.json ?? '')).toEqual(REQUIRED)
  })

  it.each([
    ['ce-datacontenttype', ['text/plain']],
    ['ce-id', ['a', 'b']],
    ['ce-id', ['']],
    ['ce-Type', ['x']],
    ['ce-subject', ['%zz']],
    ['ce-subject', ['caf\u00e9']],
    ['ce-my_ext', ['a']],
    ['ce-__proto__', ['a']],
  ])('refuses the header %s: %j', (header, values) => {
    expect(refusal(() => binary('', { headers: { [header]: values } }))).toHaveLength(1)
  })

  it('is not taken for it without ce- headers', () => {
    expect(
      decodeEvents({ contentType: 'application/json', headers: { accept: ['*/*'] }, body: Buffer.from('{}') }),
    ).toBe(undefined)
  })
})

describe('the value of a header', () => {
  it.each([
    ['plain', 'plain'],
    ['Euro%20%E2%82%AC%20%F0%9F%98%80', 'Euro € 😀'],
    ['%e2%82%ac', '€'],
    ['over%41%2Dencoded', 'overA-encoded'],
    ['100%25', '100%'],
    ['"quoted \\"and\\" %20"', 'quoted "and"  '],
    ['a+b', 'a+b'],
  ])('%s is %s', (value, text) => {
    expect(decodeHeader(value)).toEqual({ text })
  })

  it.each([
    ['overlong', '%C0%A0'],
    ['half a surrogate', '%ED%A0%80'],
    ['cut off', '%E2%82'],
    ['beyond Unicode', '%F5%80%80%80'],
    ['no hex', '%4'],
    ['an open quote', '"abc'],
  ])('refuses what is %s', (_what, value) => {
    expect(decodeHeader(value)).toHaveProperty('fault')
  })
})
