import { type Chance, type Known, sampleOf, type ValueSchema } from './values.ts'

/** As much of an OpenAPI document as is read here. */
export interface OpenApi {
  readonly paths: Readonly<Record<string, Readonly<Record<string, Operation>>>>
}

interface Operation {
  readonly parameters?: readonly {
    readonly name: string
    readonly in: 'path' | 'query' | 'header'
    readonly required?: boolean
    readonly schema: ValueSchema
  }[]
  readonly requestBody?: { readonly content: Readonly<Record<string, { readonly schema: ValueSchema }>> }
}

export interface FuzzRequest {
  readonly route: string
  readonly method: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** Requests to all routes of a document, in turn, for ever. */
export function* requestsTo(document: OpenApi, context: { chance: Chance; known: Known }): Generator<FuzzRequest> {
  const routes = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method: method.toUpperCase(), operation })),
  )
  for (;;) for (const route of routes) yield requestTo(route, context)
}

function requestTo(
  { path, method, operation }: { path: string; method: string; operation: Operation },
  context: { chance: Chance; known: Known },
): FuzzRequest {
  const { chance } = context
  const query = new URLSearchParams()
  const headers: Record<string, string> = {}
  let address = path
  for (const { name, in: where, required, schema } of operation.parameters ?? []) {
    if (!required && !chance.oneIn(3)) continue
    const value = sampleOf(schema, name, context)
    const text = typeof value === 'string' ? value : JSON.stringify(value)
    if (where === 'path') address = address.replace(`{${name}}`, encodeURIComponent(text.toWellFormed()))
    else if (where === 'query') query.append(name, text)
    // What no client could put into a header is another matter, tried by hand elsewhere.
    else headers[name] = text.replace(/[^\x20-\x7e]/g, '?')
  }
  const body = bodyOf(operation, context)
  if (body !== undefined) headers['content-type'] = mediaType(chance)
  const search = query.size > 0 ? `?${query}` : ''
  return {
    ...{ route: `${method} ${path}`, method, path: `${address}${search}`, headers },
    ...(body !== undefined && { body }),
  }
}

function bodyOf({ requestBody }: Operation, context: { chance: Chance; known: Known }): string | undefined {
  const { chance } = context
  const [content] = Object.values(requestBody?.content ?? {})
  // POST /events reads whatever comes, and its document says no schema.
  const schema = content?.schema
  if (!requestBody) return undefined
  if (chance.oneIn(40)) return chance.of(BROKEN)
  return JSON.stringify(sampleOf(schema ?? {}, '', context))
}

const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)
const BROKEN = [
  ...['', '{', 'null', '[]', '"x"', '0', '{"a":1,}', '{"__proto__":{"x":1}}', '{"who":"a","who":"b"}', '\ufeff{}'],
  ...[nested(500), nested(5000), '1e999', '{"data":"\\ud800"}', `{"${'k'.repeat(10_000)}":1}`],
]

function mediaType(chance: Chance): string {
  if (!chance.oneIn(20)) return 'application/json'
  return chance.of(['text/plain', 'application/json; charset=utf-16', 'application/cloudevents+json', 'x', 'a/b;c=d'])
}
