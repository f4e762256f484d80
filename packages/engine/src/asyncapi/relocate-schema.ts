/** A JSON Schema: an object, true or false. */
export type JsonSchema = boolean | Readonly<Record<string, unknown>>

const BASE = 'schema:/'
/** Keywords whose value is a schema, a list of schemas, or schemas by name (JSON Schema 2020-12). */
const ONE = new Set([
  ...['not', 'if', 'then', 'else', 'items', 'contains', 'propertyNames', 'contentSchema'],
  ...['additionalProperties', 'additionalItems', 'unevaluatedItems', 'unevaluatedProperties'],
])
const LIST = new Set(['allOf', 'anyOf', 'oneOf', 'prefixItems'])
const BY_NAME = new Set(['properties', 'patternProperties', '$defs', 'definitions', 'dependentSchemas'])

/**
 * A schema as it can stand at a place in another document. What it says about itself (`#/$defs/money`, an anchor, its own
 * `$id`) counts from the top of the document that it was written in, so every reference becomes a pointer to the new place,
 * and the names that it had go: readers of documents follow pointers only.
 */
export function relocateSchema(schema: JsonSchema, place: string): Readonly<Record<string, unknown>> {
  const pointers = new Map<string, string>([[BASE, '']])
  collect(schema, { base: BASE, pointer: '', pointers })
  const moved = move(schema, { base: BASE, place, pointers })
  if (typeof moved === 'object' && moved !== null) return moved as Record<string, unknown>
  // Where schemas are kept by name, AsyncAPI wants objects.
  return moved === false ? { not: {} } : {}
}

interface Place {
  readonly base: string
  readonly pointers: Map<string, string>
}

/** The pointers of what a schema gives a name: resources by their absolute `$id`, anchors by their fragment. */
function collect(schema: unknown, { base: outer, pointer, pointers }: Place & { pointer: string }): void {
  if (!isObject(schema)) return
  const base = baseOf(schema, outer)
  if (base !== outer) pointers.set(base, pointer)
  for (const name of [schema.$anchor, schema.$dynamicAnchor]) {
    if (typeof name === 'string') pointers.set(`${base}#${name}`, pointer)
  }
  for (const [path, inner] of subschemas(schema)) collect(inner, { base, pointer: `${pointer}${path}`, pointers })
}

function move(schema: unknown, { base: outer, place, pointers }: Place & { place: string }): unknown {
  if (!isObject(schema)) return schema
  const base = baseOf(schema, outer)
  const inner = (value: unknown) => move(value, { base, place, pointers })
  const members = Object.entries(schema).flatMap(([keyword, value]): [string, unknown][] => {
    if (keyword === '$id' || keyword === '$anchor' || keyword === '$dynamicAnchor') return []
    if (keyword === '$ref' || keyword === '$dynamicRef')
      return [['$ref', resolve(String(value), base, place, pointers)]]
    if (ONE.has(keyword)) return [[keyword, inner(value)]]
    if (LIST.has(keyword) && Array.isArray(value)) return [[keyword, value.map(inner)]]
    if (BY_NAME.has(keyword) && isObject(value))
      return [[keyword, Object.fromEntries(Object.entries(value).map(([name, each]) => [name, inner(each)]))]]
    return [[keyword, value]]
  })
  return Object.fromEntries(members)
}

/** What is not in the schema itself is left as it is. */
function resolve(ref: string, base: string, place: string, pointers: ReadonlyMap<string, string>): string {
  if (!URL.canParse(ref, base)) return ref
  const url = new URL(ref, base)
  const fragment = url.hash.slice(1)
  url.hash = ''
  const anchored = pointers.get(`${url.href}#${fragment}`)
  if (anchored !== undefined) return `#${place}${anchored}`
  const resource = pointers.get(url.href)
  if (resource === undefined || (fragment !== '' && !fragment.startsWith('/'))) return ref
  return `#${place}${resource}${fragment}`
}

function baseOf({ $id }: Readonly<Record<string, unknown>>, outer: string): string {
  if (typeof $id !== 'string' || !URL.canParse($id, outer)) return outer
  const url = new URL($id, outer)
  url.hash = ''
  return url.href
}

function subschemas(schema: Readonly<Record<string, unknown>>): [path: string, schema: unknown][] {
  return Object.entries(schema).flatMap(([keyword, value]): [string, unknown][] => {
    if (ONE.has(keyword)) return [[`/${keyword}`, value]]
    if (LIST.has(keyword) && Array.isArray(value)) return value.map((each, index) => [`/${keyword}/${index}`, each])
    if (BY_NAME.has(keyword) && isObject(value))
      return Object.entries(value).map(([name, each]) => [`/${keyword}/${pointerPart(name)}`, each])
    return []
  })
}

/** One part of a JSON pointer, as it stands in a URI fragment. */
export function pointerPart(name: string): string {
  return encodeURIComponent(name.replaceAll('~', '~0').replaceAll('/', '~1')).replaceAll('%24', '$')
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
