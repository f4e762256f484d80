/**
 * All items of a list, from its first answer on: each answer leads to the next, by `cursor` in the body or, where the body is
 * an array, by the header `link`. `next` asks an address and gives back an answer that worked, or throws.
 */
export async function collectPages<Item>(
  first: Response,
  { member, next }: { member?: string; next(address: string): Promise<Response> },
): Promise<Item[]> {
  const items: Item[] = []
  for (let answer = first; ; ) {
    const body: unknown = await answer.json()
    const page = member === undefined ? body : (body as Record<string, unknown>)[member]
    items.push(...(page as Item[]))
    const address = addressBehind(answer, (body as { cursor?: string }).cursor)
    if (address === undefined) return items
    answer = await next(address)
  }
}

function addressBehind({ url, headers }: Response, cursor: string | undefined): string | undefined {
  const link = /<([^>]*)>;\s*rel="?next"?/.exec(headers.get('link') ?? '')
  if (link) return new URL(link[1] as string, url).href
  if (cursor === undefined) return undefined
  const address = new URL(url)
  address.searchParams.set('cursor', cursor)
  return address.href
}
