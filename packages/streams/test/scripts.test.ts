import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { loadScript } from '../src/scripts/load.ts'

const folder = new URL('../src/scripts/', import.meta.url)
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.lua'))
  .map((name) => name.slice(0, -4))
const preludes = files.filter((name) => name.startsWith('prelude'))
/** `boot` is sent without the preludes. */
const scripts = files.filter((name) => !name.startsWith('prelude') && name !== 'boot')
const FURTHER = ['prelude_ledger', 'prelude_cancel', 'prelude_log', 'prelude_fan_out']

const code = (text: string) => text.replaceAll(/--.*$/gm, '')
/** Where functions are defined for all that follows, in the order of the text. */
const definitions = (text: string) =>
  [...code(text).matchAll(/^local function (\w+)/gm)].map(({ 1: name = '', index }) => ({ name, index }))
const shared = new Set(
  preludes.flatMap((name) =>
    definitions(readFileSync(new URL(`${name}.lua`, folder), 'utf8')).map((each) => each.name),
  ),
)

describe('a script is sent with what it uses of the preludes', () => {
  it.each(scripts)('%s lacks no function, and each is there before it is called', (script) => {
    const { source } = loadScript(script, undefined, FURTHER)
    const defined = new Map(definitions(source).map(({ name, index }) => [name, index]))
    const calls = [...code(source).matchAll(/(?<![.:\w])(\w+)\(/g)].filter(({ 1: name = '' }) => shared.has(name))
    const inner = new Set([...code(source).matchAll(/^ +local function (\w+)/gm)].map(([, name]) => name))
    const lacking = calls.filter(
      ({ 1: name = '', index }) => !inner.has(name) && !((defined.get(name) ?? Number.POSITIVE_INFINITY) < index),
    )
    expect(lacking.map(([, name]) => name)).toEqual([])
  })

  it('leaves out what it does not use', () => {
    const { source } = loadScript('read_log', 'no-writes', ['prelude_log'])
    expect(source).toContain('local function look_on(')
    expect(source).not.toContain('local function bury(')
  })
})
