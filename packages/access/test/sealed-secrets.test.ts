import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMasterKeys, masterKeyInFolder, parseMasterKey, UnknownMasterKeyError } from '../src/index.ts'

const [KEY, OTHER] = [randomBytes(32), randomBytes(32)]
const keys = createMasterKeys([KEY])
const PLACE = 'the secret of shop'

describe('a sealed secret', () => {
  it('is opened by the key that sealed it, at its place, and by nothing else', () => {
    const sealed = keys.seal('whsec_abc', PLACE)
    expect(sealed).toMatch(/^v1\.[0-9a-f]{8}\.[\w-]+$/)
    expect(sealed).not.toContain('whsec')
    expect(keys.open(sealed, PLACE)).toBe('whsec_abc')
    expect(keys.seal('whsec_abc', PLACE), 'a nonce of its own').not.toBe(sealed)
    expect(() => keys.open(sealed, 'the secret of bank')).toThrow()
    expect(() => createMasterKeys([OTHER]).open(sealed, PLACE)).toThrow(UnknownMasterKeyError)
    expect(() => keys.open(sealed.replace('v1.', 'v2.'), PLACE)).toThrow(UnknownMasterKeyError)
  })

  it('does not open when a bit of it was changed, or its end is missing', () => {
    const [version, id, text = ''] = keys.seal('whsec_abc', PLACE).split('.')
    const bytes = Buffer.from(text, 'base64url')
    for (let index = 0; index < bytes.length; index++) {
      const changed = Buffer.from(bytes)
      changed[index] = (changed[index] as number) ^ 1
      expect(() => keys.open(`${version}.${id}.${changed.toString('base64url')}`, PLACE)).toThrow()
    }
    for (const length of [0, 10, bytes.length - 1])
      expect(() => keys.open(`${version}.${id}.${bytes.subarray(0, length).toString('base64url')}`, PLACE)).toThrow()
  })

  it('goes on being opened when another key comes in front', () => {
    const sealed = keys.seal('whsec_abc', PLACE)
    const both = createMasterKeys([OTHER, KEY])
    expect(both.open(sealed, PLACE)).toBe('whsec_abc')
    expect([both.sealedBy(sealed), both.sealedBy(both.seal('x', PLACE))]).toEqual([keys.id, both.id])
  })
})

describe('a master key', () => {
  it.each([
    ['hex', KEY.toString('hex'), true],
    ['base64', KEY.toString('base64'), true],
    ['base64url', KEY.toString('base64url'), true],
    ['too short', KEY.toString('hex').slice(2), false],
    ['a password', 'correct horse battery staple', false],
    ['nothing', '', false],
  ])('is read from text: %s', (_what, text, isKey) => {
    expect(parseMasterKey(text)).toEqual(isKey ? KEY : undefined)
  })

  describe('in a data folder', () => {
    let folder: string
    beforeAll(() => {
      folder = mkdtempSync(join(tmpdir(), 'millrace-key-'))
    })
    afterAll(() => rmSync(folder, { recursive: true }))

    it('is made once, for its user alone, and found again', () => {
      const home = join(folder, 'new', 'home')
      const made = masterKeyInFolder(home)
      expect(made).toHaveLength(32)
      expect(masterKeyInFolder(home)).toEqual(made)
      expect(readdirSync(home)).toEqual(['master.key'])
      expect(statSync(join(home, 'master.key')).mode & 0o777).toBe(0o600)
    })

    it('that is cut short is no reason to make another one, which could open nothing', () => {
      const file = join(folder, 'master.key')
      writeFileSync(file, 'abc')
      chmodSync(file, 0o600)
      expect(() => masterKeyInFolder(folder)).toThrow('holds no master key')
    })
  })
})
