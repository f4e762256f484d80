import { describe, expect, it } from 'vitest'
// @boundaries-ignore the scripts are no workspace to import by name
import { generateDocs } from '../../scripts/generate-docs.mjs'
import { readPage } from './pages.ts'

const pages = await generateDocs()

describe('the generated pages', () => {
  it.each([...pages])('%s says what the code says', (path, text) => {
    expect(readPage(path), `${path} is out of date: run \`npx node scripts/generate-docs.mjs\` and commit it`).toBe(
      text,
    )
  })
})
