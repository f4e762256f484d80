import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { fingerprintOf } from '../src/index.ts'

const of = (body: string, more: { reason?: string; status?: number } = {}) =>
  fingerprintOf({
    reason: more.reason ?? 'http_status',
    lastResponse: { status: more.status ?? 500, body },
  })
const sameAs = (a: string, b: string) => of(a).fingerprint === of(b).fingerprint

describe('a failure fingerprint', () => {
  it.each([
    ['numbers', 'user 42 not found', 'user 7 not found'],
    ['numbers of different length in a path', 'GET /users/42/orders/9 failed', 'GET /users/1234567/orders/10 failed'],
    ['uuids', 'no claim 0b0f7a52-77a4-4a0e-9d42-6f1f3c0a8a11', 'no claim ffffffff-aaaa-4bbb-8ccc-dddddddddddd'],
    ['hex, also all letters, also all digits', 'object deadbeefcafe is gone', 'object 123456789012 is gone'],
    ['ids with a prefix', 'charge ch_3Nqp7XYZ was declined', 'charge ch_1A was declined'],
    ['times', 'locked until 2026-11-22T01:41:06.123Z', 'locked until 2025-01-02T03:04:05+02:00'],
    ['HTTP dates', 'expired Sun, 22 Nov 2026 01:41:06 GMT', 'expired Mon, 1 Dec 2025 11:00:00 GMT'],
    ['addresses', 'connect ECONNREFUSED 10.0.0.1:6379', 'connect ECONNREFUSED 192.168.17.3:5432'],
    ['quoted text', `duplicate key "ada@example.com"`, `duplicate key "bob"`],
    ['quoted text with apostrophes around', `can't find 'x y' or it's gone`, `can't find 'z' or it's gone`],
    ['white space', 'a   b\tc', 'a b c'],
    ['later lines', 'TypeError: x is not a function\n  at a (a.js:1:2)', 'TypeError: x is not a function\n  at b'],
    ['members beside the message', '{"error":"no such plan","id":"a"}', '{"id":"zzz","error":"no such plan"}'],
    ['nesting of the message', '{"error":{"message":"no such plan"}}', '{"message":"no such plan"}'],
    ['the page around a title', '<html><title>Bad gateway</title>a', '<!doctype html><head><title>Bad gateway</title>'],
  ])('does not tell %s apart', (_what, a, b) => {
    expect(sameAs(a, b)).toBe(true)
  })

  it.each([
    ['the text', 'user not found', 'order not found'],
    ['the message of a JSON body', '{"error":"no such plan","id":1}', '{"error":"no such user","id":1}'],
    ['the first line that says something', '\n\n a', '\n\n b'],
    ['words in the middle of apostrophes', `it's a b's`, `it's c b's`],
    ['titles of pages', '<title>Bad gateway</title>', '<title>Not found</title>'],
  ])('tells %s apart', (_what, a, b) => {
    expect(sameAs(a, b)).toBe(false)
  })

  it('tells reasons, statuses and errors of the connection apart', () => {
    const all = [
      of('x'),
      of('x', { status: 502 }),
      of('x', { reason: 'no_retry' }),
      fingerprintOf({ reason: 'dns', lastResponse: { error: 'getaddrinfo ENOTFOUND a.b' } }),
      fingerprintOf({ reason: 'dns', lastResponse: { error: 'getaddrinfo EAI_AGAIN a.b' } }),
      fingerprintOf({ reason: 'crash_loop', lastResponse: {} }),
    ]
    expect(new Set(all.map(({ fingerprint }) => fingerprint)).size).toBe(all.length)
    for (const { fingerprint } of all) expect(fingerprint).toMatch(/^[0-9a-f]{12}$/)
  })

  it('shows what was said, as it was said', () => {
    expect(of('{"error":"user 42 not found"}').sample).toBe('user 42 not found')
    expect(of(`x${' y'.repeat(500)}`).sample).toHaveLength(200)
    expect(of('{"error":').sample).toBe('{"error":')
    expect(of('').sample).toBe('')
  })

  it('stays the same whatever ids stand in the text', () => {
    const id = fc.oneof(
      fc.uuid(),
      fc.nat().map(String),
      fc.maxSafeNat().map((n) => n.toString(16).padStart(8, 'a')),
      fc.nat().map((n) => `job_${n}`),
      fc.date({ min: new Date(0), max: new Date('2200-01-01'), noInvalidDate: true }).map((date) => date.toISOString()),
      fc.string({ unit: fc.constantFrom(...'abc xyz.') }).map((text) => `"${text}"`),
    )
    const sentence = fc.constantFrom(
      (a: string, b: string) => `record ${a} of ${b} is locked`,
      (a: string, b: string) => `${a}: no such key (${b})`,
      (a: string, b: string) => JSON.stringify({ message: `cannot read ${a}, held by ${b}`, traceId: a }),
    )
    fc.assert(
      fc.property(sentence, id, id, id, id, (say, a, b, c, d) => {
        expect(of(say(a, b)).fingerprint).toBe(of(say(c, d)).fingerprint)
      }),
    )
  })

  it('takes any answer', () => {
    fc.assert(fc.property(fc.string({ maxLength: 5000 }), (body) => of(body).fingerprint.length === 12))
    fc.assert(fc.property(fc.json(), (body) => of(body).fingerprint.length === 12))
  })
})
