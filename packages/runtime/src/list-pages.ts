import { type PageRequest, ProblemError } from '@millrace/contracts'

export interface ListOrder<Item> {
  /** What the list is called. Cursors name it, so that none is taken for one of another list. */
  readonly list: string
  /** What an item is ordered by: no other item of the list has it, and it stays the same as long as the item is there. */
  keyOf(item: Item): readonly string[]
  readonly descending?: boolean
}

export interface ListPage<Item> {
  readonly items: Item[]
  /** Given out only when there is more. */
  readonly cursor?: string
}

/**
 * A page of a list that is whole in memory. A cursor is the key of the last item on its page, not a number of items, so what
 * comes or goes between two pages neither repeats nor hides what stayed, even when it is that last item. Throws ProblemError
 * for a cursor that this list did not give out.
 */
export function pageOf<Item>(
  all: readonly Item[],
  { list, keyOf, descending = false }: ListOrder<Item>,
  { limit, cursor }: PageRequest,
): ListPage<Item> {
  const after = cursor === undefined ? undefined : readCursor(cursor, list)
  const direction = descending ? -1 : 1
  const compare = (a: readonly string[], b: readonly string[]) => direction * compareKeys(a, b)
  const rest = all
    .map((item) => ({ item, key: keyOf(item) }))
    .filter(({ key }) => after === undefined || compare(key, after) > 0)
    .sort((a, b) => compare(a.key, b.key))
  const page = rest.slice(0, limit)
  const last = page.at(-1)
  const items = page.map(({ item }) => item)
  return rest.length > limit && last ? { items, cursor: writeCursor(last.key, list) } : { items }
}

/** By code units, as every process does it whatever its locale. */
function compareKeys(a: readonly string[], b: readonly string[]): number {
  const index = a.findIndex((part, at) => part !== b[at])
  if (index < 0) return a.length - b.length
  return (a[index] as string) < (b[index] ?? '') ? -1 : 1
}

function writeCursor(key: readonly string[], list: string): string {
  return Buffer.from(JSON.stringify([list, ...key])).toString('base64url')
}

function readCursor(cursor: string, list: string): readonly string[] {
  const [named, ...key] = textsIn(cursor)
  // Decoding passes over what is not base64; only what we would write again is ours.
  if (named === list && key.length > 0 && writeCursor(key, list) === cursor) return key
  const detail = 'is not a cursor of this list: send the one of the answer before as it is, or none for the first page'
  throw new ProblemError('request.invalid', `cursor ${detail}.`, { errors: [{ pointer: '/cursor', detail }] })
}

function textsIn(cursor: string): string[] {
  try {
    const value: unknown = JSON.parse(Buffer.from(cursor, 'base64url').toString())
    return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : []
  } catch {
    return []
  }
}
