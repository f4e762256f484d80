import type { Problem } from '@millrace/contracts'
import { ProblemError } from '@millrace/contracts'
import { describe, expect, it } from 'vitest'
import { type ListOrder, pageOf } from '../src/index.ts'

type Pair = readonly [string, string]
const pairs: ListOrder<Pair> = { list: 'pairs', keyOf: (pair) => pair }
const words: ListOrder<string> = { list: 'words', keyOf: (word) => [word] }

/** All pages, with what is done to the list before each further one. */
function walk<Item>(all: Item[], order: ListOrder<Item>, { limit, between }: { limit: number; between?: () => void }) {
  const pages: Item[][] = []
  for (let cursor: string | undefined; ; ) {
    const page = pageOf(all, order, { limit, cursor })
    pages.push(page.items)
    if (page.cursor === undefined) return pages
    cursor = page.cursor
    between?.()
  }
}

function refusalOf(cursor: string): Problem {
  try {
    pageOf(['a', 'b'], words, { limit: 1, cursor })
  } catch (error) {
    if (error instanceof ProblemError) return error.toProblem()
    throw error
  }
  throw new Error(`${cursor} was taken.`)
}

describe('pages of a list in memory', () => {
  it('hold everything once, in order, whatever order it came in', () => {
    const all: Pair[] = [
      ['b', 'a'],
      ['a', 'z'],
      ['ab', ''],
      ['a', 'B'],
      ['a', 'é'],
    ]
    const sorted = [...all].sort((a, b) => (a.join('\0') < b.join('\0') ? -1 : 1))
    for (const limit of [1, 2, 3, 4, 5, 6]) {
      const pages = walk(all, pairs, { limit })
      expect(pages.flat()).toEqual(sorted)
      expect(pages.map(({ length }) => length)).toEqual(
        Array.from({ length: Math.ceil(5 / limit) }, (_, page) => Math.min(limit, 5 - page * limit)),
      )
    }
    expect(walk(all, { ...pairs, descending: true }, { limit: 2 }).flat()).toEqual(sorted.toReversed())
    expect(pageOf([], words, { limit: 1 })).toEqual({ items: [] })
  })

  it('neither repeat nor lose what stayed, when the last of a page goes and others come before and behind it', () => {
    for (const descending of [false, true]) {
      const all = ['b', 'd', 'f', 'h', 'j']
      const changes = [
        () => all.splice(0, all.length, 'a', 'b', 'e', 'f', 'h', 'j'),
        () => all.splice(0, all.length, 'a', 'b', 'c', 'e', 'j', 'k'),
      ]
      const pages = walk(all, { ...words, descending }, { limit: 2, between: () => changes.shift()?.() })
      const seen = pages.flat()
      expect(new Set(seen).size).toBe(seen.length)
      expect(seen).toEqual(expect.arrayContaining(['b', 'j']))
      expect(seen).toEqual(seen.toSorted((a, b) => (descending ? -1 : 1) * (a < b ? -1 : 1)))
    }
  })

  it('refuse a cursor that is not of the list, and say what to send', () => {
    const own = pageOf(['a', 'b'], words, { limit: 1 }).cursor as string
    expect(pageOf(['a', 'b'], words, { limit: 1, cursor: own }).items).toEqual(['b'])
    const encode = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url')
    const foreign = pageOf([['a', 'b'] as const, ['b', 'c'] as const], pairs, { limit: 1 }).cursor as string
    for (const cursor of ['', 'a', foreign, `${own}!`, encode(['words']), encode(['words', 1]), encode({ a: 1 })])
      expect(refusalOf(cursor), cursor).toMatchObject({
        status: 422,
        code: 'request.invalid',
        errors: [{ pointer: '/cursor', detail: expect.stringMatching(/not a cursor of this list: send/) }],
      })
  })
})
