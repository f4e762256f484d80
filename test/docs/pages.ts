import { readFileSync } from 'node:fs'
import { readFiles, type SourceFile } from '../tidy/repository.ts'

export interface CodeBlock {
  readonly language: string
  /** What stands behind the language: ```js title="verify.mjs". Nobody sees it on a rendered page. */
  readonly title: string | undefined
  readonly text: string
}

export function readPage(path: string): string {
  return readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')
}

/** Everything that people read. */
export function readPages(): SourceFile[] {
  return readFiles('**/*.md')
}

export function codeBlocks(page: string): CodeBlock[] {
  const fences = page.matchAll(/^```(\w+)(?: title="([^"]+)")?\n(.*?)^```$/gms)
  return [...fences].map(([, language = '', title, text = '']) => ({ language, title, text }))
}

export function blockOf(page: string, title: string): CodeBlock {
  const block = codeBlocks(page).find((each) => each.title === title)
  if (!block) throw new Error(`The page has no block with title="${title}".`)
  return block
}

/** The rows of the table under a heading of columns, cell by cell. */
export function tableRows(page: string, header: string): string[][] {
  const start = page.indexOf(header)
  if (start < 0) throw new Error(`The page has no table "${header}".`)
  const lines = page.slice(start).split('\n').slice(2)
  const end = lines.findIndex((line) => !line.startsWith('|'))
  return lines.slice(0, end).map((line) =>
    line
      .split(/(?<!\\)\|/)
      .slice(1, -1)
      .map((cell) => cell.trim().replaceAll('\\|', '|')),
  )
}
