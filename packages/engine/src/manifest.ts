import {
  manifestQueueSchema,
  manifestScheduleSchema,
  namespaceSchema,
  type QueueDefinition,
  SCHEDULE_CONCURRENCY,
} from '@millrace/contracts'
import { distance } from 'fastest-levenshtein'
import type { z } from 'zod'
import { checkCron, checkTimezone } from './cron.ts'
import { type ManifestDocument, type ManifestMistake, mistakeAt, readManifest } from './manifest-document.ts'

export type { ManifestMistake } from './manifest-document.ts'

/** What a manifest declares, with the defaults filled in. */
export interface Declaration {
  readonly namespace: string
  readonly queues: QueueDefinition[]
  /** The manifest itself, untouched: what is not ours in it passes through. */
  readonly manifest: Record<string, unknown>
}

export type ParsedManifest =
  | { readonly kind: 'accepted'; readonly declaration: Declaration; readonly warnings: ManifestMistake[] }
  | { readonly kind: 'refused'; readonly mistakes: ManifestMistake[] }

/** Parts of `spec` that are ours; anything near to one of them is taken for a misspelling. */
const OURS = ['queues', 'schedules']
const NOT_YET = ['subscriptions', 'workflows']

/** Read `catalog-info.yaml` (text, or the object it parses to): all mistakes at once, each with its line and the fix. */
export function parseManifest(source: string | Record<string, unknown>): ParsedManifest {
  const read = readManifest(source)
  if (read.kind === 'refused') return read
  const { document } = read
  const root = asRecord(document.value)
  if (!root)
    return {
      kind: 'refused',
      mistakes: [{ pointer: '', detail: 'expected a Backstage entity with metadata and spec' }],
    }

  const spec = asRecord(root.spec) ?? {}
  const namespace = namespaceSchema.safeParse(asRecord(root.metadata)?.name)
  const mistakes: ManifestMistake[] = []
  if (!namespace.success) {
    mistakes.push(
      mistakeAt(
        document,
        ['metadata', 'name'],
        `${namespace.error.issues[0]?.message}; it is the namespace of the service`,
      ),
    )
  }
  mistakes.push(...checkSpecKeys(document, spec))
  const queues = readList(document, 'queues', spec.queues, manifestQueueSchema, mistakes)
  const schedules = readList(document, 'schedules', spec.schedules, manifestScheduleSchema, mistakes)
  schedules.forEach(({ cron, timezone }, index) => {
    mistakes.push(...checkRule(document, index, cron, timezone))
  })
  mistakes.push(
    ...checkEndpoints(document, 'queues', queues, spec.routes),
    ...checkEndpoints(document, 'schedules', schedules, spec.routes),
  )
  if (mistakes.length > 0 || !namespace.success) return { kind: 'refused', mistakes }

  const definitions: QueueDefinition[] = [
    ...queues.map((queue): QueueDefinition => ({ kind: 'queue', ...queue })),
    ...schedules.map(({ cron, timezone, ...delivery }): QueueDefinition => {
      return { kind: 'schedule', concurrency: SCHEDULE_CONCURRENCY, schedule: { cron, timezone }, ...delivery }
    }),
  ]
  const warnings = definitions.length > 0 ? [] : [mistakeAt(document, ['spec'], 'declares no queues and no schedules')]
  return { kind: 'accepted', declaration: { namespace: namespace.data, queues: definitions, manifest: root }, warnings }
}

type ListName = 'queues' | 'schedules'

function readList<Schema extends z.ZodObject>(
  document: ManifestDocument,
  list: ListName,
  value: unknown,
  schema: Schema,
  mistakes: ManifestMistake[],
): z.infer<Schema>[] {
  if (value === undefined || value === null) return []
  if (!Array.isArray(value)) {
    mistakes.push(mistakeAt(document, ['spec', list], `expected a list, each item starting with "- name: …"`))
    return []
  }
  const accepted: z.infer<Schema>[] = []
  const names = new Map<string, number>()
  value.forEach((item, index) => {
    const path = ['spec', list, index]
    const parsed = schema.safeParse(item)
    if (!parsed.success) {
      mistakes.push(
        ...parsed.error.issues.flatMap((issue) => explain(document, path, issue, Object.keys(schema.shape))),
      )
      return
    }
    const name = (parsed.data as { name: string }).name
    const first = names.get(name)
    if (first !== undefined)
      mistakes.push(
        mistakeAt(
          document,
          [...path, 'name'],
          `"${name}" is declared twice in ${list}; the first is number ${first + 1}`,
        ),
      )
    names.set(name, names.get(name) ?? index)
    accepted.push(parsed.data)
  })
  return accepted
}

function explain(
  document: ManifestDocument,
  path: PropertyKey[],
  issue: z.core.$ZodIssue,
  fields: string[],
): ManifestMistake[] {
  if (issue.code !== 'unrecognized_keys') {
    const missing = issue.code === 'invalid_type' && issue.input === undefined
    return [mistakeAt(document, [...path, ...issue.path], missing ? `is required: ${issue.message}` : issue.message)]
  }
  return issue.keys.map((key) => {
    const known = issue.path.length > 0 ? ['type', 'factor', 'maxDelayMs', 'jitter'] : fields
    return mistakeAt(document, [...path, ...issue.path, key], unknownField(key, known), { key: true })
  })
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

function checkSpecKeys(document: ManifestDocument, spec: Record<string, unknown>): ManifestMistake[] {
  return Object.keys(spec).flatMap((key) => {
    if (OURS.includes(key)) return []
    if (NOT_YET.includes(key))
      return [
        mistakeAt(
          document,
          ['spec', key],
          `this version of Millrace delivers queues and schedules; it has no ${key} yet, so take them out`,
          { key: true },
        ),
      ]
    const meant = OURS.find((ours) => distance(key.toLowerCase(), ours) <= 2)
    return meant
      ? [mistakeAt(document, ['spec', key], `is not a known field; did you mean "${meant}"?`, { key: true })]
      : []
  })
}

function checkRule(document: ManifestDocument, index: number, cron: string, timezone: string): ManifestMistake[] {
  const path = ['spec', 'schedules', index]
  const inCron = checkCron(cron)
  const inZone = checkTimezone(timezone)
  return [
    ...(inCron ? [mistakeAt(document, [...path, 'cron'], `"${cron}" ${inCron}`)] : []),
    ...(inZone ? [mistakeAt(document, [...path, 'timezone'], `"${timezone}" ${inZone}`)] : []),
  ]
}

/** Endpoints of jobs and ticks are internal: never outside /internal/, never published as a route as well. */
function checkEndpoints(
  document: ManifestDocument,
  list: ListName,
  items: readonly { endpoint: string }[],
  routes: unknown,
): ManifestMistake[] {
  const published = Array.isArray(routes)
    ? routes.map((route) => asRecord(route)?.path).filter((path) => typeof path === 'string')
    : []
  return items.flatMap(({ endpoint }, index) => {
    const path = ['spec', list, index, 'endpoint']
    if (!endpoint.startsWith('/internal/'))
      return [mistakeAt(document, path, `"${endpoint}" must start with /internal/, so that no gateway publishes it`)]
    if (published.some((route) => matchesRoute(route, endpoint)))
      return [
        mistakeAt(
          document,
          path,
          `"${endpoint}" also stands in spec.routes, which would make it public: take it out there`,
        ),
      ]
    return []
  })
}

function matchesRoute(route: string, endpoint: string): boolean {
  const bare = endpoint.split('?')[0] as string
  if (route === bare) return true
  return route.endsWith('/*') && bare.startsWith(route.slice(0, -1))
}

function asRecord(value: unknown): Record<string, unknown> | undefined {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, unknown>)
    : undefined
}
