import { backoffSchema, batchSchema, catchUpSchema, manifestQueueSchema, rateLimitSchema } from '@millrace/contracts'
import { distance } from 'fastest-levenshtein'
import type { z } from 'zod'
import { faultOfSchema } from './event-schema.ts'
import { compileFilters } from './filter/filters.ts'
import { type ManifestDocument, type ManifestMistake, mistakeAt } from './manifest-document.ts'
import { faultsOfSchedule } from './schedule/manifest-faults.ts'

export interface ReadItems<Item> {
  readonly items: Item[]
  readonly mistakes: ManifestMistake[]
}

/** Fields of what stands inside an item, for "did you mean". */
const NESTED_FIELDS: Record<string, readonly string[]> = {
  backoff: Object.keys(backoffSchema.shape),
  batch: Object.keys(batchSchema.shape),
  rateLimit: Object.keys(rateLimitSchema.shape),
  keyRateLimit: Object.keys(rateLimitSchema.shape),
  catchUp: Object.keys(catchUpSchema.shape),
}

/**
 * Read one list of the manifest, `spec.queues` or `spec.schedules`. Every item is checked in every respect, so that one
 * mistake does not hide another.
 */
export function readItems<Schema extends z.ZodObject>(
  document: ManifestDocument,
  { list, value, schema, routes }: { list: string; value: unknown; schema: Schema; routes: readonly string[] },
): ReadItems<z.infer<Schema>> {
  if (value === undefined || value === null) return { items: [], mistakes: [] }
  if (!Array.isArray(value)) {
    const detail = 'expected a list, each item starting with "- name: …"'
    return { items: [], mistakes: [mistakeAt(document, ['spec', list], detail)] }
  }
  const items: z.infer<Schema>[] = []
  const mistakes: ManifestMistake[] = [...duplicates(document, { list, items: value })]
  value.forEach((raw, index) => {
    const path = ['spec', list, index]
    const parsed = schema.safeParse(raw)
    if (parsed.success) items.push(parsed.data)
    else mistakes.push(...parsed.error.issues.flatMap((issue) => explain(document, path, issue, { schema, raw })))
    if (isRecord(raw)) mistakes.push(...checkMeaning(document, path, raw, { list, routes }))
  })
  return { items, mistakes }
}

function duplicates(
  document: ManifestDocument,
  { list, items }: { list: string; items: readonly unknown[] },
): ManifestMistake[] {
  const field = list === 'events' ? 'type' : 'name'
  const names = items.map((item) => (isRecord(item) ? item[field] : undefined))
  return names.flatMap((name, index) => {
    const first = names.indexOf(name)
    if (typeof name !== 'string' || first === index) return []
    const detail = `"${name}" is declared twice in ${list}; the first is number ${first + 1}`
    return [mistakeAt(document, ['spec', list, index, field], detail)]
  })
}

function explain(
  document: ManifestDocument,
  path: PropertyKey[],
  issue: z.core.$ZodIssue,
  { schema, raw }: { schema: z.ZodObject; raw: unknown },
): ManifestMistake[] {
  if (issue.code === 'unrecognized_keys') {
    const known = issue.path.length > 0 ? (NESTED_FIELDS[String(issue.path[0])] ?? []) : Object.keys(schema.shape)
    return issue.keys.map((key) =>
      mistakeAt(document, [...path, ...issue.path, key], unknownField(key, known), { key: true }),
    )
  }
  // A key of a table of free names is refused at the key itself, for the reason given deeper inside.
  const message = issue.code === 'invalid_key' ? (issue.issues[0]?.message ?? issue.message) : issue.message
  const missing = valueAt(raw, issue.path) === undefined
  return [mistakeAt(document, [...path, ...issue.path], missing ? `is required: ${message}` : message)]
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((inner, part) => (inner as Record<PropertyKey, unknown> | undefined)?.[part], value)
}

function unknownField(key: string, known: readonly string[]): string {
  const near = nearest(key, known)
  return near ? `is not a known field; did you mean "${near}"?` : `is not a known field; known are ${known.join(', ')}`
}

function nearest(word: string, candidates: readonly string[]): string | undefined {
  const scored = candidates.map((candidate) => ({
    candidate,
    score: distance(word.toLowerCase(), candidate.toLowerCase()),
  }))
  const best = scored.sort((a, b) => a.score - b.score)[0]
  return best && best.score <= Math.max(2, Math.ceil(best.candidate.length * 0.45)) ? best.candidate : undefined
}

type Raw = Readonly<Record<string, unknown>>

/** What a schema cannot say: endpoints, rules of time, fields that mean something only together with others. */
function checkMeaning(
  document: ManifestDocument,
  path: PropertyKey[],
  raw: Raw,
  { list, routes }: { list: string; routes: readonly string[] },
): ManifestMistake[] {
  const faults: [field: string, detail: string | undefined][] = [
    // Whoever subscribes may well do so at a public address; that is only warned of.
    ['endpoint', list === 'subscriptions' ? undefined : faultOfEndpoint(raw.endpoint, routes)],
    ['schema', list === 'events' ? faultOfSchema(raw.schema) : undefined],
    ['endpoint', list === 'queues' ? faultOfDelivery(raw) : undefined],
    [
      'onStatus',
      raw.delivery === 'pull' && raw.onStatus !== undefined
        ? 'is about answers over HTTP, which a queue with delivery: pull has none of: throw NoRetry or RetryAfter in the handler'
        : undefined,
    ],
    ...(list === 'schedules' ? faultsOfSchedule(raw) : []),
    [
      'onDead',
      raw.onDead !== undefined && raw.keyConcurrency !== 1 ? 'has a meaning with keyConcurrency: 1 only' : undefined,
    ],
    [
      'keyRateLimit',
      raw.keyRateLimit !== undefined && raw.keyConcurrency === undefined ? 'needs keyConcurrency as well' : undefined,
    ],
    ['backoff', faultOfBackoff(raw.backoff)],
    ['concurrency', faultOfConcurrency(raw)],
  ]
  return [
    ...faults.flatMap(([field, detail]) =>
      detail === undefined ? [] : [mistakeAt(document, [...path, field], detail)],
    ),
    ...(list === 'subscriptions' && raw.filters !== undefined ? faultsOfFilters(document, path, raw.filters) : []),
  ]
}

function faultsOfFilters(document: ManifestDocument, path: PropertyKey[], filters: unknown): ManifestMistake[] {
  // What is no list was named by the schema.
  if (!Array.isArray(filters)) return []
  const compiled = compileFilters(filters)
  if (compiled.kind === 'compiled') return []
  return compiled.mistakes.map(({ pointer, detail }) => {
    const inner = pointer
      .split('/')
      .slice(1)
      .map((part) => (/^\d+$/.test(part) ? Number(part) : part))
    return mistakeAt(document, [...path, 'filters', ...inner], detail)
  })
}

/** A queue is pushed to an endpoint or pulled by consumers, never both. */
function faultOfDelivery({ delivery, endpoint }: Raw): string | undefined {
  if (delivery === 'pull') {
    if (endpoint === undefined) return undefined
    return 'is where a dispatcher would send jobs, but with delivery: pull the service takes them itself: take one of the two out'
  }
  if (endpoint !== undefined) return undefined
  return 'is required: expected a path below /internal/ such as /internal/jobs/sync-record, or delivery: pull'
}

/** Endpoints of jobs and ticks are internal: never outside /internal/, never published as a route as well. */
function faultOfEndpoint(endpoint: unknown, routes: readonly string[]): string | undefined {
  if (typeof endpoint !== 'string' || !endpoint.startsWith('/')) return undefined
  if (!endpoint.startsWith('/internal/'))
    return `"${endpoint}" must start with /internal/, so that no gateway publishes it`
  if (!routes.some((route) => matchesRoute(route, endpoint))) return undefined
  return `"${endpoint}" also stands in spec.routes, which would make it public: take it out there`
}

function matchesRoute(route: string, endpoint: string): boolean {
  const bare = endpoint.split('?')[0] as string
  return route === bare || (route.endsWith('/*') && bare.startsWith(route.slice(0, -1)))
}

function faultOfBackoff(backoff: unknown): string | undefined {
  if (!isRecord(backoff) || (backoff.type === 'list') === (backoff.delaysMs !== undefined)) return undefined
  return 'type list and delaysMs go together'
}

/** A batch is made of jobs that run, so a limit below its size would be its size. */
function faultOfConcurrency({ batch, concurrency = manifestQueueSchema.shape.concurrency.parse(undefined) }: Raw) {
  const size = isRecord(batch) ? batch.maxSize : undefined
  if (typeof size !== 'number' || typeof concurrency !== 'number' || concurrency >= size) return undefined
  return `counts jobs, and with ${concurrency} no batch reaches its maxSize of ${size}: ${size} is for one request at a time, ${2 * size} for two`
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
