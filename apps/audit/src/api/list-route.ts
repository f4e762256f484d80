import { ProblemError, REQUEST_LIMITS } from '@millrace/contracts'
import type { AppServer } from '@millrace/runtime'
import { z } from 'zod'

type Key = readonly (string | number)[]

/** A list in pages: what it is called, what may be asked, how a page is found and how a row is shown. */
export interface ListRoute<Filters extends z.ZodRawShape, Row, Item extends z.ZodType> {
  readonly url: string
  readonly summary: string
  /** The member of the answer that holds the page. */
  readonly member: string
  readonly filters: Filters
  readonly item: Item
  find(query: z.output<z.ZodObject<Filters>>, page: { limit: number; after: Key | undefined }): Promise<Row[]>
  /** By what the list is ordered; a cursor is the key of the last row of a page, and stays good whatever is added. */
  keyOf(row: Row): Key
  show(row: Row): z.input<Item>
}

const pageSchema = {
  limit: z.coerce.number().int().min(1).max(REQUEST_LIMITS.pageItems.value).default(100),
  cursor: z.string().max(1000).optional(),
}

export function addListRoute<Filters extends z.ZodRawShape, Row, Item extends z.ZodType>(
  server: AppServer,
  { url, summary, member, filters, item, find, keyOf, show }: ListRoute<Filters, Row, Item>,
): void {
  server.route({
    method: 'GET',
    url,
    schema: {
      summary,
      querystring: z.strictObject({ ...filters, ...pageSchema }),
      response: { 200: z.object({ [member]: z.array(item), cursor: z.string().optional() }) },
    },
    async handler(request) {
      const query = request.query as z.output<z.ZodObject<Filters>> & { limit: number; cursor?: string }
      const { limit } = query
      const rows = await find(query, { limit: limit + 1, after: fromKeyCursor(query.cursor) })
      const page = rows.slice(0, limit)
      const last = page.at(-1)
      const cursor = rows.length > limit && last !== undefined ? { cursor: toKeyCursor(keyOf(last)) } : {}
      return { [member]: page.map(show), ...cursor } as never
    },
  })
}

function toKeyCursor(key: Key): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url')
}

function fromKeyCursor(cursor: string | undefined): Key | undefined {
  if (cursor === undefined) return undefined
  const key = z.array(z.union([z.string(), z.number()])).safeParse(parsed(cursor))
  if (key.success) return key.data
  throw new ProblemError('request.invalid', 'The cursor is not one that this list gave out.', {
    errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }],
  })
}

function parsed(cursor: string): unknown {
  try {
    return JSON.parse(Buffer.from(cursor, 'base64url').toString())
  } catch {
    return undefined
  }
}
