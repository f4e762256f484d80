import { manifestQueueSchema, manifestScheduleSchema, namespaceSchema, type QueueDefinition } from '@millrace/contracts'
import { distance } from 'fastest-levenshtein'
import { type ManifestDocument, type ManifestMistake, mistakeAt, readManifest } from './manifest-document.ts'
import { isRecord, readItems } from './manifest-items.ts'
import { defineSchedule } from './schedule/definition.ts'
import { warningsOfSchedule } from './schedule/manifest-faults.ts'

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
  const root = document.value
  if (!isRecord(root)) return refuse([{ pointer: '', detail: 'expected a Backstage entity with metadata and spec' }])

  const spec = isRecord(root.spec) ? root.spec : {}
  const namespace = namespaceSchema.safeParse(isRecord(root.metadata) ? root.metadata.name : undefined)
  const routes = publishedRoutes(spec)
  const queues = readItems(document, { list: 'queues', value: spec.queues, schema: manifestQueueSchema, routes })
  const schedules = readItems(document, {
    list: 'schedules',
    value: spec.schedules,
    schema: manifestScheduleSchema,
    routes,
  })
  const nameFault = namespace.success
    ? []
    : [`${namespace.error.issues[0]?.message}; it is the namespace of the service`]
  const mistakes = [
    ...nameFault.map((detail) => mistakeAt(document, ['metadata', 'name'], detail)),
    ...checkSpecKeys(document, spec),
    ...queues.mistakes,
    ...schedules.mistakes,
  ]
  if (mistakes.length > 0 || !namespace.success) return refuse(mistakes)

  const definitions: QueueDefinition[] = [
    ...queues.items.map((queue): QueueDefinition => ({ kind: 'queue', ...queue })),
    ...schedules.items.map(defineSchedule),
  ]
  const warnings = [
    ...(definitions.length > 0 ? [] : [mistakeAt(document, ['spec'], 'declares no queues and no schedules')]),
    ...schedules.items.flatMap((schedule, index) =>
      warningsOfSchedule(schedule).map(([field, detail]) =>
        mistakeAt(document, ['spec', 'schedules', index, field], detail),
      ),
    ),
  ]
  return { kind: 'accepted', declaration: { namespace: namespace.data, queues: definitions, manifest: root }, warnings }
}

/** In the order in which they stand in the file. */
function refuse(mistakes: readonly ManifestMistake[]): ParsedManifest {
  return { kind: 'refused', mistakes: mistakes.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)) }
}

function publishedRoutes({ routes }: Record<string, unknown>): string[] {
  if (!Array.isArray(routes)) return []
  return routes.map((route) => (isRecord(route) ? route.path : undefined)).filter((path) => typeof path === 'string')
}

function checkSpecKeys(document: ManifestDocument, spec: Record<string, unknown>): ManifestMistake[] {
  return Object.keys(spec).flatMap((key) => {
    const detail = faultOfSpecKey(key)
    return detail === undefined ? [] : [mistakeAt(document, ['spec', key], detail, { key: true })]
  })
}

function faultOfSpecKey(key: string): string | undefined {
  if (OURS.includes(key)) return undefined
  if (NOT_YET.includes(key))
    return `this version of Millrace delivers queues and schedules; it has no ${key} yet, so take them out`
  const meant = OURS.find((ours) => distance(key.toLowerCase(), ours) <= 2)
  return meant && `is not a known field; did you mean "${meant}"?`
}
