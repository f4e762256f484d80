import { describe, expect, it } from 'vitest'
import { checkFileShape } from './file-shape.ts'
import { listed, readFiles, readSources } from './repository.ts'

describe('source files', () => {
  it('are named for what they own and stay short', () => {
    expect(listed(checkFileShape([...readSources(), ...readFiles('**/*.{lua,sql}')]))).toEqual([])
  })

  it.each([
    ['a/utils.ts', 'is named "utils"'],
    ['a/types.ts', 'is named "types"'],
    ['a/queue-manager.ts', 'is named "manager"'],
    ['a/test-helpers.test.ts', 'is named "helpers"'],
  ])('are reported for the name %s', (path, complaint) => {
    expect(listed(checkFileShape([{ path, text: '' }]))).toEqual([expect.stringContaining(complaint)])
  })

  it('may have such a word inside of another', () => {
    const paths = ['a/commonmark.ts', 'a/event-types.ts', 'a/backoff.ts']
    expect(checkFileShape(paths.map((path) => ({ path, text: '' })))).toEqual([])
  })

  it('are reported from 301 lines on', () => {
    const file = (lines: number) => ({ path: 'a/long.ts', text: 'x\n'.repeat(lines) })
    expect(checkFileShape([file(300)])).toEqual([])
    expect(listed(checkFileShape([file(301)]))).toEqual([expect.stringContaining('has 301 lines')])
  })
})
