import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { buildRecord, type Erasure, GENESIS_HASH, hashRecord, type StoredRecord, verifyChain } from '../../src/audit.ts'

const KEY = { namespace: 'shop', entityId: 'order-7' }
const SALT = '000102030405060708090a0b0c0d0e0f'

function chainOf(length: number): StoredRecord[] {
  const chain: StoredRecord[] = []
  for (let index = 0; index < length; index++) {
    const data = JSON.stringify({ step: index })
    const { record, eventHash } = buildRecord({
      ...KEY,
      chainIndex: index,
      previousHash: chain.at(-1)?.eventHash ?? GENESIS_HASH,
      partition: 0,
      seq: index * 3,
      position: `1767225600000-${index}`,
      eventType: 'order.changed',
      who: 'ann',
      where: {},
      how: {},
      data,
      salt: SALT,
    })
    chain.push({ chainIndex: index, record, eventHash, data, salt: SALT, copies: { who: 'ann', seq: index * 3 } })
  }
  return chain
}

const headOf = (chain: readonly StoredRecord[]) => ({
  length: chain.length,
  hash: chain.at(-1)?.eventHash ?? GENESIS_HASH,
})

/** A chain and one of its indexes. */
const chainAndIndex = fc
  .integer({ min: 1, max: 12 })
  .chain((length) => fc.tuple(fc.constant(chainOf(length)), fc.integer({ min: 0, max: length - 1 })))

describe('verifyChain', () => {
  it('finds nothing wrong with an untouched chain of any length', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 30 }), (length) => {
        const chain = chainOf(length)
        expect(verifyChain(KEY, chain, headOf(chain))).toEqual({
          verdict: 'intact',
          valid: true,
          totalEvents: length,
          erased: 0,
        })
        expect(verifyChain(KEY, chain).valid).toBe(true)
      }),
    )
  })

  it('finds a record of which any character was changed, at its index', () => {
    fc.assert(
      fc.property(chainAndIndex, fc.nat(), ([chain, index], at) => {
        const { record } = chain[index]!
        const place = at % record.length
        const other = record[place] === 'x' ? 'y' : 'x'
        chain[index] = { ...chain[index]!, record: record.slice(0, place) + other + record.slice(place + 1) }
        expect(verifyChain(KEY, chain, headOf(chain))).toMatchObject({ valid: false, brokenAt: index })
      }),
    )
  })

  it('finds a record that was rewritten together with its own hash', () => {
    fc.assert(
      fc.property(chainAndIndex, ([chain, index]) => {
        const head = headOf(chain)
        const forged = buildRecord({
          ...KEY,
          chainIndex: index,
          previousHash: chain[index - 1]?.eventHash ?? GENESIS_HASH,
          partition: 0,
          seq: index * 3,
          position: `1767225600000-${index}`,
          eventType: 'order.changed',
          who: 'mallory',
          where: {},
          how: {},
          data: '{}',
          salt: SALT,
        })
        chain[index] = { ...forged, chainIndex: index, data: '{}', salt: SALT }
        const last = index === chain.length - 1
        expect(verifyChain(KEY, chain, head)).toMatchObject({ valid: false, brokenAt: last ? index : index + 1 })
      }),
    )
  })

  it('finds changed data, a changed salt and data that is gone', () => {
    fc.assert(
      fc.property(
        chainAndIndex,
        fc.constantFrom({ data: '{"step":99}' }, { salt: 'f'.repeat(32) }, { data: null }),
        ([chain, index], change) => {
          chain[index] = { ...chain[index]!, ...change }
          expect(verifyChain(KEY, chain, headOf(chain))).toMatchObject({ valid: false, brokenAt: index })
        },
      ),
    )
  })

  it('finds a deleted record, wherever it stood', () => {
    fc.assert(
      fc.property(chainAndIndex, ([chain, index]) => {
        const head = headOf(chain)
        chain.splice(index, 1)
        expect(verifyChain(KEY, chain, head)).toMatchObject({
          valid: false,
          brokenAt: index,
          totalEvents: chain.length,
        })
      }),
    )
  })

  it('finds a cut tail by the head alone', () => {
    const chain = chainOf(5)
    const head = headOf(chain)
    const cut = chain.slice(0, 3)
    expect(verifyChain(KEY, cut)).toMatchObject({ valid: true, totalEvents: 3 })
    expect(verifyChain(KEY, cut, head)).toMatchObject({ valid: false, brokenAt: 3, totalEvents: 3 })
    expect(verifyChain(KEY, [], head)).toMatchObject({ valid: false, brokenAt: 0 })
  })

  it('finds swapped records, also when their indexes were swapped with them', () => {
    const chain = chainOf(5)
    const swapped = chain.with(1, { ...chain[3]!, chainIndex: 1 }).with(3, { ...chain[1]!, chainIndex: 3 })
    expect(verifyChain(KEY, swapped, headOf(chain))).toMatchObject({ valid: false, brokenAt: 1 })
  })

  it('finds an inserted record, at the end as well', () => {
    const chain = chainOf(4)
    const head = headOf(chain)
    const doubled = [...chain.slice(0, 2), chain[1]!, ...chain.slice(2)]
    expect(verifyChain(KEY, doubled, head)).toMatchObject({ valid: false, brokenAt: 2 })
    expect(verifyChain(KEY, chainOf(5), head)).toMatchObject({ valid: false, brokenAt: 4, totalEvents: 5 })
  })

  it('finds copies beside the record that say something else', () => {
    const chain = chainOf(3)
    chain[1] = { ...chain[1]!, copies: { who: 'mallory' } }
    expect(verifyChain(KEY, chain, headOf(chain))).toMatchObject({
      brokenAt: 1,
      reason: expect.stringContaining('who'),
    })
  })

  it('takes a payload for erased only where the erasure says so, and says what it does not know', () => {
    const chain = chainOf(3)
    const erasedBy = 'evt_1'
    chain[1] = { ...chain[1]!, data: null, salt: null, erasedBy }
    const verdictWith = (ranges: Erasure['ranges'] | undefined, erasuresComplete = true) => {
      const options = { erasuresComplete, erasureOf: () => (ranges ? { ranges } : undefined) }
      return verifyChain(KEY, chain, headOf(chain), options)
    }
    expect(verdictWith({ 0: [[2, 4]] })).toMatchObject({ verdict: 'intact', valid: true, erased: 1 })
    expect(verdictWith({ 0: [[4, 9]] })).toMatchObject({ verdict: 'tampered', level: 'payload', brokenAt: 1 })
    expect(verdictWith({ 1: [[0, 9]] })).toMatchObject({ verdict: 'tampered', level: 'payload', brokenAt: 1 })
    expect(verdictWith(undefined)).toMatchObject({ verdict: 'tampered', level: 'payload', brokenAt: 1 })
    expect(verdictWith(undefined, false)).toMatchObject({ verdict: 'unverifiable', level: 'payload', brokenAt: 1 })
  })

  it('lets tampering further on count more than what cannot be verified before it', () => {
    const chain = chainOf(4)
    chain[0] = { ...chain[0]!, data: null, salt: null, erasedBy: 'evt_1' }
    chain[2] = { ...chain[2]!, data: '{}' }
    const options = { erasuresComplete: false }
    expect(verifyChain(KEY, chain, headOf(chain), options)).toMatchObject({ verdict: 'tampered', brokenAt: 2 })
  })

  it('cannot verify a record of a format that it does not know', () => {
    const chain = chainOf(1)
    const record = chain[0]!.record.replace('"v":1', '"v":2')
    const eventHash = hashRecord(record)
    const later = [{ ...chain[0]!, record, eventHash }]
    expect(verifyChain(KEY, later, { length: 1, hash: eventHash })).toMatchObject({
      verdict: 'unverifiable',
      level: 'record',
    })
  })

  it('refuses the records of another entity, and a chain whose head is gone', () => {
    const chain = chainOf(3)
    expect(verifyChain({ ...KEY, entityId: 'order-8' }, chain)).toMatchObject({ valid: false, brokenAt: 0 })
    expect(verifyChain(KEY, chain, null)).toMatchObject({ valid: false, brokenAt: 3 })
  })
})
