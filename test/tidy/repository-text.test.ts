import { describe, expect, it } from 'vitest'
import { listed, readFiles } from './repository.ts'
import { checkLockfile, checkText } from './repository-text.ts'

describe('the text of the repository', () => {
  it('belongs to no one machine', () => {
    // Names that begin with a dot are not in `**`, and .npmrc is where a registry would stand.
    const files = [...readFiles('**/*'), ...readFiles('.*'), ...readFiles('.*/*')]
    expect(listed(checkText(files.filter(({ text }) => !text.includes('\0'))))).toEqual([])
  })

  it.each([
    ['a home folder', 'cd /hom@e/mara/millrace', 'names a home folder'],
    ['a home folder on macOS', 'see "/User@s/mara"', 'names a home folder'],
    ['the home of root', 'cat /roo@t/.npmrc', 'names a home folder'],
    ['a work folder', 'cd /wor@k/main', 'names a folder of one machine'],
    ['a registry', 'registry=https://registr@y.example.com/', 'names a registry'],
    ['a credential', '//example.com/:_authToke@n=abc', 'holds a registry credential'],
  ])('is reported for %s', (_name, text, complaint) => {
    // The examples are put together here, so that this file does not report itself.
    const found = listed(checkText([{ path: 'README.md', text: `\n${text.replace('@', '')}` }]))
    expect(found).toEqual([expect.stringMatching(new RegExp(`^README.md:2 ${complaint}`))])
  })

  it('is left alone for addresses of a service', () => {
    const text = 'POST http://localhost/wor@k/items, ./hom@e/page, {base}/wor@k/items'.replaceAll('@', '')
    expect(checkText([{ path: 'README.md', text }])).toEqual([])
  })
})

describe('package-lock.json', () => {
  it('holds no addresses', () => {
    expect(readFiles('package-lock.json').flatMap((file) => listed(checkLockfile(file)))).toEqual([])
  })

  it('is reported with the line of an address, and not for the folder of a workspace', () => {
    const text = '{\n  "resolved": "apps/audit",\n  "resolved": "https://example.com/zod.tgz"\n}'
    expect(listed(checkLockfile({ path: 'package-lock.json', text }))).toEqual([
      expect.stringContaining('package-lock.json:3 holds an address'),
    ])
  })
})
