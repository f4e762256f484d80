import { describe, expect, it } from 'vitest'
import { checkEnvironment } from './environment.ts'
import { listed, readSources } from './repository.ts'

describe('the environment', () => {
  it('is read in config.ts alone', () => {
    expect(listed(checkEnvironment(readSources()))).toEqual([])
  })

  it.each([
    ['a member', 'const url = process.env.REDIS_URL'],
    ['all of it', '/* why */ start({ ...process.env })'],
    ['an import', `import { env } from 'node:process'`],
  ])('is noticed when another file reads %s', (_name, text) => {
    const found = listed(checkEnvironment([{ path: 'apps/audit/src/main.ts', text: `\n${text}` }]))
    expect(found).toEqual([expect.stringContaining('apps/audit/src/main.ts:2 reads the environment')])
  })

  it('may be read by config.ts, by tests, and talked about', () => {
    const text = 'process.env.REDIS_URL'
    const files = [
      { path: 'apps/audit/src/config.ts', text },
      { path: 'apps/audit/test/a.test.ts', text },
      { path: 'apps/audit/src/a.ts', text: `// ${text}\nconst text = '${text}'` },
    ]
    expect(checkEnvironment(files)).toEqual([])
  })
})
