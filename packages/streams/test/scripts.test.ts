import { readdirSync, readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { enqueue, openRedis, readCounts } from '../src/index.ts'
import { runScript, scriptLibrary } from '../src/scripts/load.ts'
import { ADDRESS, useBench } from './fixture.ts'

const folder = new URL('../src/scripts/', import.meta.url)
const files = readdirSync(folder)
  .filter((name) => name.endsWith('.lua'))
  .map((name) => name.slice(0, -4))
const preludes = files.filter((name) => name.startsWith('prelude'))
const scripts = files.filter((name) => !name.startsWith('prelude'))

const code = (text: string) => text.replaceAll(/--.*$/gm, '')
/** Where functions are defined for all that follows, in the order of the text. */
const definitions = (text: string) =>
  [...code(text).matchAll(/^local function (\w+)/gm)].map(({ 1: name = '', index }) => ({ name, index }))
const shared = new Set(
  preludes.flatMap((name) =>
    definitions(readFileSync(new URL(`${name}.lua`, folder), 'utf8')).map((each) => each.name),
  ),
)

const bench = useBench({ consumer: 'one' })
const redis = () => bench.partition.redis
const librariesOf = async () =>
  ((await redis().function('LIST', 'LIBRARYNAME', 'millrace_*')) as unknown[][]).map(([, name]) => name)
/** As another version has it: the same functions by another name, in a library by another name. */
async function giveLibraryOf(hash: string): Promise<string> {
  const { name, source } = scriptLibrary()
  await redis().function('LOAD', source.replaceAll(name, `millrace_${hash}`))
  return `millrace_${hash}`
}

describe('the library of scripts', () => {
  it('has every one of them', () => {
    const { name, source } = scriptLibrary()
    const registered = [...source.matchAll(/function_name = '(\w+)'/g)].map(([, it]) => it)
    expect(registered.toSorted()).toEqual(scripts.map((script) => `${name}_${script}`).toSorted())
  })

  it.each(scripts)('has what %s calls before it is called', (script) => {
    const { source } = scriptLibrary()
    const start = source.indexOf(`\nlocal function ${script}()\n`)
    const text = code(source.slice(0, source.indexOf('\nredis.register_function{', start)))
    // What other scripts define is theirs alone.
    const own = text.slice(text.indexOf(`\nlocal function ${script}()\n`))
    const before = text.slice(0, text.indexOf('\ndo\nlocal function '))
    const defined = new Map(definitions(before + own).map(({ name, index }) => [name, index]))
    const calls = [...(before + own).matchAll(/(?<![.:\w])(\w+)\(/g)].filter(({ 1: name = '' }) => shared.has(name))
    const inner = new Set([...own.matchAll(/^ +local function (\w+)/gm)].map(([, name]) => name))
    const lacking = calls.filter(
      ({ 1: name = '', index }) => !inner.has(name) && !((defined.get(name) ?? Number.POSITIVE_INFINITY) < index),
    )
    expect(lacking.map(([, name]) => name)).toEqual([])
  })

  it('is given again to a server that was told to forget it', async () => {
    await redis().function('FLUSH')
    await bench.add(1, 2)
    expect(await librariesOf()).toEqual([scriptLibrary().name])
    expect((await readCounts(bench.partition, [ADDRESS]))[0]).toMatchObject({ waiting: 2 })
  })

  it('stands beside that of another version, which goes when a process starts', async () => {
    const other = await giveLibraryOf('0123456789abcdef')
    await bench.add(1)
    expect((await librariesOf()).toSorted()).toEqual([other, scriptLibrary().name].toSorted())
    // The other version's processes go on with theirs meanwhile.
    const { keys, hex } = bench.partition
    const [counts] = (await redis().fcall(`${other}_counts`, 1, keys.log, hex, ADDRESS)) as [number, number][]
    expect(counts?.slice(0, 2), 'waiting and running').toEqual([1, 0])

    const logger = { info: () => undefined, warn: () => undefined, error: () => undefined }
    const url = `redis://127.0.0.1:${bench.server.port}`
    const opened = await openRedis({ url, role: 'test', partitions: 1, logger, timeoutMs: 5000 })
    opened.disconnect()
    expect(await librariesOf()).toEqual([scriptLibrary().name])
  })

  it('tells what fails in a script, and goes on with the next call', async () => {
    await redis().set(`{p0}:counts:${ADDRESS}`, 'not a hash')
    const job = { address: ADDRESS, lane: 'normal', data: '1' } as const
    await expect(enqueue(bench.partition, [job])).rejects.toThrow(/WRONGTYPE/)
    await redis().del(`{p0}:counts:${ADDRESS}`)
    expect(await enqueue(bench.partition, [job])).toHaveLength(1)
    await expect(runScript(bench.partition, { name: 'no_such', body: '', flags: [] }, [])).rejects.toThrow(
      'Function not found',
    )
  })
})
