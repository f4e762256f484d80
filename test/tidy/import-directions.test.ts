import { describe, expect, it } from 'vitest'
import { checkDirections, kindOf } from './import-directions.ts'
import { listed, readFiles, readSources, readWorkspaces, type Workspace } from './repository.ts'
import { readImports } from './syntax.ts'

describe('import directions', () => {
  const workspaces = readWorkspaces()

  it('hold everywhere', () => {
    expect(listed(checkDirections(readSources(), workspaces))).toEqual([])
  })

  it('bring the OpenTelemetry SDK into no process that is not traced: one file per app has it, which nobody imports at start', () => {
    const sources = readSources().filter(({ path }) => !/(^|\/)test\//.test(path))
    const importing = (is: (specifier: string) => boolean, isType: boolean) =>
      sources
        .filter((file) => readImports(file).some((each) => is(each.specifier) && each.typesOnly === isType))
        .map(({ path }) => path)
    const isSdk = (specifier: string) => /^@opentelemetry\/(?!api$)/.test(specifier)
    const parts = ['audit', 'dispatcher', 'scheduler'].map((app) => `apps/${app}/src/otel-sdk.ts`)
    expect(importing(isSdk, false).toSorted()).toEqual(parts)
    expect(importing(isSdk, true)).toEqual(['packages/runtime/src/tracing.ts'])
    const loading = sources.filter(({ text }) => text.includes('./otel-sdk.ts')).map(({ text }) => text)
    expect(loading.every((text) => !/from '\.\/otel-sdk\.ts'/.test(text))).toBe(true)
  })

  it('are known to turbo: each workspace carries the tag of its kind', () => {
    const tags = readFiles('{packages,apps,examples}/*/turbo.json').concat(readFiles('{test,bench}/turbo.json'))
    const found = Object.fromEntries(tags.map(({ path, text }) => [path, JSON.parse(text).tags]))
    const wanted = Object.fromEntries(workspaces.map((each) => [`${each.folder}/turbo.json`, [kindOf(each)]]))
    expect(found).toEqual(wanted)
  })

  const house: Workspace[] = [
    {
      folder: 'packages/contracts',
      name: '@millrace/contracts',
      dependencies: ['zod'],
      devDependencies: [],
      doors: ['.', './limits'],
    },
    { folder: 'packages/engine', name: '@millrace/engine', dependencies: ['@millrace/contracts'], devDependencies: [] },
    { folder: 'packages/testkit', name: '@millrace/testkit', dependencies: [], devDependencies: [] },
    {
      folder: 'apps/audit',
      name: '@millrace/audit',
      dependencies: ['@millrace/contracts'],
      devDependencies: ['@millrace/testkit'],
    },
    { folder: 'apps/cli', name: '@millrace/cli', dependencies: [], devDependencies: ['toolkit'] },
  ]

  it.each([
    ['down to what is declared', 'apps/audit/src/a.ts', `import { a } from '@millrace/contracts'`, undefined],
    ['through another door', 'apps/audit/src/a.ts', `import { a } from '@millrace/contracts/limits'`, undefined],
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
    ['types of what is declared for development', 'apps/cli/src/a.ts', `import type { A } from 'toolkit'`, undefined],
    ['what is declared for development', 'apps/cli/src/a.ts', `import { a } from 'toolkit'`, 'in the dependencies of'],
  ])('judges an import %s', (_name, path, text, complaint) => {
    const found = listed(checkDirections([{ path, text }], house))
    expect(found).toEqual(complaint === undefined ? [] : [expect.stringContaining(complaint)])
  })
})
