import { describe, expect, it } from 'vitest'
import { checkLuaScripts } from './lua-scripts.ts'
import { listed, readFiles } from './repository.ts'

describe('Lua scripts', () => {
  const files = readFiles('packages/streams/src/**/*.{lua,ts}')

  it('say how they are called, have a wrapper, and are used', () => {
    expect(files.filter(({ path }) => path.endsWith('.lua')).length).toBeGreaterThan(0)
    expect(listed(checkLuaScripts(files))).toEqual([])
  })

  const script = {
    path: 'src/renew.lua',
    text: '-- Renew.\n-- KEYS[1] lease  ARGV[1] holder\n-- Returns {ok}.\nlocal a = 1',
  }
  const wrapper = { path: 'src/renew.ts', text: `loadScript('renew')` }

  it('are content with a header, a wrapper and a use', () => {
    expect(checkLuaScripts([script, wrapper])).toEqual([])
  })

  it.each([
    ['no header', [{ ...script, text: 'local a = 1 -- KEYS ARGV Returns' }, wrapper], 'has no header'],
    ['no word on the reply', [{ ...script, text: '-- KEYS, ARGV\nlocal a' }, wrapper], 'does not name Returns'],
    ['no wrapper', [script, { ...wrapper, path: 'src/lease.ts' }], 'write src/renew.ts'],
    ['no use', [script, { ...wrapper, text: '' }], 'is loaded by nobody'],
  ])('are reported for %s', (_name, sources, complaint) => {
    expect(listed(checkLuaScripts(sources))).toContainEqual(expect.stringContaining(complaint))
  })
})
