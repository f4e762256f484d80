import { existsSync } from 'node:fs'
import { posix } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { SourceFile } from '../tidy/repository.ts'
import { readPages } from './pages.ts'

describe('links between pages', () => {
  it('lead to a file that is there, and to a heading that it has', () => {
    const pages = readPages()
    expect(pages.flatMap((page) => brokenLinks(page, pages))).toEqual([])
  })

  it('are reported when they lead nowhere', () => {
    const page = { path: 'docs/a.md', text: '# One\n[x](gone.md) [y](#two) [z](#one) [w](https://example.com/#no)' }
    expect(brokenLinks(page, [page])).toEqual(['docs/a.md: gone.md', 'docs/a.md: #two'])
  })
})

function brokenLinks(page: SourceFile, pages: readonly SourceFile[]): string[] {
  const prose = page.text.replaceAll(/^```.*?^```$/gms, '').replaceAll(/`[^`\n]*`/g, '')
  const targets = [...prose.matchAll(/\]\(([^)\s]+)\)/g)].map((match) => match[1] as string)
  return targets
    .filter((target) => !/^[a-z]+:/.test(target) && !leadsSomewhere(target, page, pages))
    .map((target) => `${page.path}: ${target}`)
}

function leadsSomewhere(target: string, page: SourceFile, pages: readonly SourceFile[]): boolean {
  const [file = '', anchor] = target.split('#')
  const path = file === '' ? page.path : posix.join(posix.dirname(page.path), file)
  if (anchor === undefined) return existsSync(new URL(`../../${path}`, import.meta.url))
  const linked = pages.find((each) => each.path === path)
  return linked !== undefined && headings(linked.text).includes(anchor)
}

/** Headings as GitHub makes anchors of them. */
function headings(text: string): string[] {
  const lines = text.replaceAll(/^```.*?^```$/gms, '').matchAll(/^#{1,6} (.*)$/gm)
  return [...lines].map((match) =>
    (match[1] as string)
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N}\s_-]/gu, '')
      .trim()
      .replaceAll(' ', '-'),
  )
}
