import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { createLockfileReader, type LockEntry, parseLockfile } from '../src/lockfile.ts'
import { neededPackages } from '../src/needed-packages.ts'

describe('parseLockfile', () => {
  it('lists what is third-party, by path, with the name that the folder gives', () => {
    const { packages } = parse({
      '': { dependencies: { a: '1' } },
      'packages/own': { version: '0.1.0' },
      'node_modules/own': { link: true },
      'node_modules/a': { version: '1.0.0' },
      'node_modules/a/node_modules/@s/b': { version: '2.0.0' },
      'packages/own/node_modules/a': { version: '3.0.0' },
      'node_modules/alias': { name: 'real', version: '4.0.0' },
    })
    expect([...packages.values()].map(({ path, name, version }) => [path, name, version])).toEqual([
      ['node_modules/a', 'a', '1.0.0'],
      ['node_modules/a/node_modules/@s/b', '@s/b', '2.0.0'],
      ['packages/own/node_modules/a', 'a', '3.0.0'],
      ['node_modules/alias', 'real', '4.0.0'],
    ])
  })

  it.each(['{}', '{"lockfileVersion":1,"dependencies":{}}', '{"packages":{"node_modules/a":{}}}', 'no JSON'])(
    'refuses %s',
    (text) => {
      expect(() => parseLockfile(text, '/')).toThrow()
    },
  )
})

describe('neededPackages', () => {
  const machine = { os: 'linux', cpu: 'x64', libc: 'glibc' }

  it('does not count what only a package for another machine asks for', () => {
    const lockfile = parse({
      '': { devDependencies: { bundler: '1' } },
      'packages/own': { dependencies: { shared: '1' } },
      'node_modules/bundler': { version: '1', optionalDependencies: { wasm: '1', native: '1', notLocked: '1' } },
      'node_modules/wasm': { version: '1', cpu: ['wasm32'], dependencies: { runtime: '1', shared: '1' } },
      'node_modules/runtime': { version: '1', dependencies: { helper: '1' } },
      'node_modules/helper': { version: '1' },
      'node_modules/native': { version: '1', os: ['linux'] },
      'node_modules/shared': { version: '1' },
    })
    expect([...neededPackages(lockfile, machine)].sort()).toEqual([
      'node_modules/bundler',
      'node_modules/native',
      'node_modules/shared',
    ])
  })

  it('takes the nearest copy, counts required peers and not optional ones', () => {
    const lockfile = parse({
      'packages/own': { dependencies: { a: '2' } },
      'packages/own/node_modules/a': {
        version: '2',
        dependencies: { b: '1' },
        peerDependencies: { peer: '1', maybe: '1' },
        peerDependenciesMeta: { maybe: { optional: true } },
      },
      'node_modules/a': { version: '1' },
      'node_modules/b': { version: '1', dependencies: { a: '1' } },
      'node_modules/peer': { version: '1' },
      'node_modules/maybe': { version: '1' },
    })
    expect([...neededPackages(lockfile, machine)].sort()).toEqual([
      'node_modules/a',
      'node_modules/b',
      'node_modules/peer',
      'packages/own/node_modules/a',
    ])
  })
})

it('reads the file again only when it has changed', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'lockfile-'))
  const file = join(folder, 'package-lock.json')
  try {
    await writeFile(file, JSON.stringify({ packages: { 'node_modules/a': { version: '1.0.0' } } }))
    const read = createLockfileReader(file)
    const first = await read()
    expect(await read()).toBe(first)

    await writeFile(file, JSON.stringify({ packages: { 'node_modules/a': { version: '2.0.0' } } }))
    // Both writes may fall into one tick of the file system's clock, and the texts are of one length.
    await utimes(file, new Date(), new Date(Date.now() + 5_000))
    expect((await read()).packages.get('node_modules/a')?.version).toBe('2.0.0')
  } finally {
    await rm(folder, { recursive: true })
  }
})

function parse(packages: Record<string, LockEntry>) {
  return parseLockfile(JSON.stringify({ lockfileVersion: 3, packages }), '/')
}
