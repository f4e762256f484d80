import { createHmac, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { createSigningKey } from '../src/index.ts'

const CONTENT = { id: 'job_1a200c31d0100000000', timestamp: '1795309116' }
/** Nothing, plain, of two to four bytes a character, half a pair, and longer than what is put together at first. */
const BODIES = ['', '{}', 'Grüße', '価格 ✓ 🎉', 'half \ud83c', `${'é'.repeat(40_000)}✓`, 'x'.repeat(300_000)]

describe('an HMAC-SHA256 signature', () => {
  it('is that of OpenSSL, with keys of every length around a block and with any text', () => {
    for (const length of [1, 24, 31, 32, 33, 63, 64, 65, 128, 200]) {
      const key = randomBytes(length)
      const sign = createSigningKey(`whsec_${key.toString('base64')}`)
      for (const body of [...BODIES, ...BODIES.toReversed()]) {
        const { id, timestamp } = CONTENT
        const expected = createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')
        expect(sign({ ...CONTENT, body })).toBe(`v1,${expected}`)
      }
    }
  })

  it('of one key does not touch that of another which signs in between', () => {
    const [first, second] = ['a', 'b'].map((letter) =>
      createSigningKey(`whsec_${Buffer.from(letter.repeat(32)).toString('base64')}`),
    )
    const before = first?.({ ...CONTENT, body: 'long '.repeat(100) })
    expect(second?.({ ...CONTENT, body: 'short' })).not.toBe(before)
    expect(first?.({ ...CONTENT, body: 'long '.repeat(100) })).toBe(before)
  })
})
