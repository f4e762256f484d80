import { describe, expect, it } from 'vitest'
import { checkCycles } from './import-cycles.ts'
import { listed, readSources } from './repository.ts'

describe('import cycles', () => {
  it('do not exist', () => {
    expect(listed(checkCycles(readSources()))).toEqual([])
  })

  it('are found, over several files and for types', () => {
    const files = [
      { path: 'a/one.ts', text: `import './two.ts'` },
      { path: 'a/two.ts', text: `import type { Three } from '../b/three.ts'` },
      { path: 'b/three.ts', text: `export * from '../a/one.ts'` },
      { path: 'b/four.ts', text: `import './three.ts'` },
    ]
    expect(listed(checkCycles(files))).toEqual([
      expect.stringContaining('a/one.ts:1 imports itself: a/one.ts → a/two.ts → b/three.ts → a/one.ts'),
    ])
  })

  it('are not mistaken for a diamond', () => {
    const files = [
      { path: 'top.ts', text: `import './left.ts'; import './right.ts'` },
      { path: 'left.ts', text: `import './bottom.ts'` },
      { path: 'right.ts', text: `import './bottom.ts'` },
      { path: 'bottom.ts', text: '' },
    ]
    expect(checkCycles(files)).toEqual([])
  })
})
