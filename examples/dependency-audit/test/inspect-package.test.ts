import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { inspectPackage } from '../src/inspect-package.ts'

const locked = { path: 'node_modules/a', name: 'a', version: '1.0.0' }
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inspect-'))
})

afterEach(() => rm(folder, { recursive: true }))

describe('inspectPackage', () => {
  it.each([
    [{}, []],
    [{ license: 'MIT OR GPL-3.0-only' }, []],
    [{ license: { type: 'ISC' } }, []],
    [{ license: undefined, licenses: [{ type: 'GPL-3.0-only' }, { type: 'MIT' }] }, []],
    [{ license: undefined }, ['licence_missing']],
    [{ license: '' }, ['licence_missing']],
    [{ license: 7 }, ['licence_missing']],
    [{ license: 'MPL-2.0' }, ['licence_not_allowed']],
    [{ license: 'SEE LICENSE IN LICENSE' }, ['licence_unreadable']],
    [{ name: 'b' }, ['name_differs']],
    [{ version: '1.0.1' }, ['version_differs']],
    [{ scripts: { postinstall: 'node x.js' } }, ['install_script_not_locked']],
    [{ scripts: { test: 'vitest', prepare: 'husky' } }, []],
    [{ scripts: null }, []],
    [
      { version: '2.0.0', license: 'MPL-2.0', scripts: { install: 'x' } },
      ['version_differs', 'licence_not_allowed', 'install_script_not_locked'],
    ],
  ])('finds in %j: %j', async (manifest, codes) => {
    await install({ ...manifest })
    const inspection = await inspectPackage(folder, locked)
    expect(inspection?.findings.map((finding) => finding.code)).toEqual(codes)
  })

  it('tells an install script that the lockfile announces from one that it does not', async () => {
    await install({ scripts: { preinstall: 'x', postinstall: 'y' } })
    const inspection = await inspectPackage(folder, { ...locked, hasInstallScript: true })
    expect(inspection?.installScripts).toEqual(['preinstall', 'postinstall'])
    expect(inspection?.findings).toEqual([{ code: 'install_script', detail: 'preinstall, postinstall' }])
  })

  it('counts a binding.gyp as the install script that npm makes of it', async () => {
    await install({})
    await writeFile(join(folder, 'binding.gyp'), '{}')
    expect((await inspectPackage(folder, locked))?.installScripts).toEqual(['binding.gyp'])
  })

  it('finds nothing where nothing is', async () => {
    expect(await inspectPackage(join(folder, 'nowhere'), locked)).toBeUndefined()
    await mkdir(join(folder, 'empty'))
    expect(await inspectPackage(join(folder, 'empty'), locked)).toBeUndefined()
  })

  it('throws on a manifest that is half written, so that it is tried again', async () => {
    await writeFile(join(folder, 'package.json'), '{"name": "a", "vers')
    await expect(inspectPackage(folder, locked)).rejects.toThrow(SyntaxError)
  })
})

function install(manifest: Record<string, unknown>): Promise<void> {
  const text = JSON.stringify({ name: 'a', version: '1.0.0', license: 'MIT', ...manifest })
  return writeFile(join(folder, 'package.json'), text)
}
