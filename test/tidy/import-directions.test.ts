import { describe, expect, it } from 'vitest'
import { checkDirections, kindOf } from './import-directions.ts'
import { listed, readFiles, readSources, readWorkspaces, type Workspace } from './repository.ts'

describe('import directions', () => {
  const workspaces = readWorkspaces()

  it('hold everywhere', () => {
    expect(listed(checkDirections(readSources(), workspaces))).toEqual([])
  })

  it('are known to turbo: each workspace carries the tag of its kind', () => {
    const tags = readFiles('{packages,apps,examples}/*/turbo.json').concat(readFiles('{test,bench}/turbo.json'))
    const found = Object.fromEntries(tags.map(({ path, text }) => [path, JSON.parse(text).tags]))
    const wanted = Object.fromEntries(workspaces.map((each) => [`${each.folder}/turbo.json`, [kindOf(each)]]))
    expect(found).toEqual(wanted)
  })

  const house: Workspace[] = [
    { folder: 'packages/contracts', name: '@millrace/contracts', dependencies: ['zod'], devDependencies: [] },
    { folder: 'packages/engine', name: '@millrace/engine', dependencies: ['@millrace/contracts'], devDependencies: [] },
    { folder: 'packages/testkit', name: '@millrace/testkit', dependencies: [], devDependencies: [] },
    {
      folder: 'apps/audit',
      name: '@millrace/audit',
      dependencies: ['@millrace/contracts'],
      devDependencies: ['@millrace/testkit'],
    },
    { folder: 'apps/cli', name: '@millrace/cli', dependencies: [], devDependencies: [] },
  ]

  it.each([
    ['down to what is declared', 'apps/audit/src/a.ts', `import { a } from '@millrace/contracts'`, undefined],
    ['the testkit in a test', 'apps/audit/test/a.test.ts', `import { a } from '@millrace/testkit'`, undefined],
    ['a neighbour and node itself', 'apps/audit/src/a.ts', `import './b.ts'; import 'node:fs'`, undefined],
    ['what only looks like an import', 'apps/audit/src/a.ts', `// import '@millrace/cli'\n'import("x")'`, undefined],
    ['up', 'packages/contracts/src/a.ts', `import { a } from '@millrace/engine'`, 'contracts may import no workspace'],
    ['up, for a type alone', 'packages/engine/src/a.ts', `type A = import('@millrace/audit').A`, 'engine may import'],
    ['sideways between apps', 'apps/audit/src/a.ts', `\nawait import('@millrace/cli')`, 'a.ts:2 imports @millrace/cli'],
    [
      'into a package',
      'apps/audit/src/a.ts',
      `export * from '@millrace/contracts/src/ids.ts'`,
      `from '@millrace/contracts'`,
    ],
    ['around a package', 'apps/audit/src/a.ts', `import '../../cli/src/up.ts'`, 'outside of apps/audit'],
    ['the testkit in a source', 'apps/audit/src/a.ts', `import '@millrace/testkit'`, 'only tests and bench may'],
    ['what is not declared', 'apps/audit/src/a.ts', `import { z } from 'zod'`, 'in the dependencies of apps/audit'],
    ['what is declared for tests only', 'apps/audit/src/a.ts', `import 'vitest'`, 'in the dependencies of'],
  ])('judges an import %s', (_name, path, text, complaint) => {
    const found = listed(checkDirections([{ path, text }], house))
    expect(found).toEqual(complaint === undefined ? [] : [expect.stringContaining(complaint)])
  })
})
