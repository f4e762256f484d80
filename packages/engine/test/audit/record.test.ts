import { createHash } from 'node:crypto'
import canonicalize from 'canonicalize'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildRecord, GENESIS_HASH, hashData, type RecordInput } from '../../src/audit.ts'

const input: RecordInput = {
  namespace: 'shop',
  entityId: 'order-7',
  chainIndex: 0,
  previousHash: GENESIS_HASH,
  partition: 2,
  seq: 41,
  position: '1767225600000-3',
  eventType: 'order.created',
  who: 'ann@example.com',
  why: 'asked by phone',
  where: { ip: '10.0.0.1', userAgent: 'curl/8' },
  how: { method: 'POST', path: '/v1/events/emit' },
  data: '{"amount": 9007199254740993}',
  salt: '000102030405060708090a0b0c0d0e0f',
}

describe('buildRecord', () => {
  it('gives the text and the hash of the documented example', () => {
    const built = buildRecord(input)
    expect(built.record).toBe(
      '{"chainIndex":0,"dataHash":"' +
        createHash('sha256').update('000102030405060708090a0b0c0d0e0f{"amount": 9007199254740993}').digest('hex') +
        '","entityId":"order-7","eventId":"evt_19b76daa80000003002","eventType":"order.created",' +
        '"how":{"method":"POST","path":"/v1/events/emit"},"namespace":"shop","partition":2,"position":"1767225600000-3",' +
        `"previousHash":"${GENESIS_HASH}","seq":41,"v":1,"when":"2026-01-01T00:00:00.000Z",` +
        '"where":{"ip":"10.0.0.1","userAgent":"curl/8"},"who":"ann@example.com","why":"asked by phone"}',
    )
    const leaf = Buffer.concat([Buffer.from([0]), Buffer.from(built.record)])
    expect(built.eventHash).toBe(createHash('sha256').update(leaf).digest('hex'))
    expect(built).toMatchObject({ eventId: 'evt_19b76daa80000003002', whenMs: 1767225600000 })
  })

  it('leaves `why` out when there is none', () => {
    expect(buildRecord({ ...input, why: undefined }).record).not.toContain('"why"')
  })

  it('writes RFC 8785 canonical JSON whatever the texts hold', () => {
    const text = fc.string({ unit: 'grapheme' })
    const map = fc.dictionary(fc.oneof(text, fc.constantFrom('1', '10', '9')), text)
    fc.assert(
      fc.property(text, text, fc.option(text, { nil: undefined }), map, map, (entityId, who, why, where, how) => {
        const { record } = buildRecord({ ...input, entityId, who, why, where, how })
        expect(record).toBe(canonicalize(JSON.parse(record)))
        expect(JSON.parse(record)).toMatchObject({ entityId, who, ...(why !== undefined && { why }) })
      }),
    )
  })

  it('commits to every character of the data and of the salt', () => {
    expect(hashData(input.salt, '{"a":1}')).not.toBe(hashData(input.salt, '{"a": 1}'))
    expect(hashData(input.salt, '{}')).not.toBe(hashData('f'.repeat(32), '{}'))
  })
})
