import {
  type DeclaredEvent,
  declaredEventSchema,
  manifestQueueSchema,
  manifestScheduleSchema,
  manifestSubscriptionSchema,
  namespaceSchema,
  type QueueDefinition,
} from '@millrace/contracts'
import { distance } from 'fastest-levenshtein'
import { isRecord } from './item-faults.ts'
import { type ManifestDocument, type ManifestMistake, mistakeAt, readManifest } from './manifest-document.ts'
import { readItems } from './manifest-items.ts'
import { defineSchedule } from './schedule/definition.ts'
import { warningsOfSchedule } from './schedule/manifest-faults.ts'
import { subscriptionQueue } from './subscription.ts'

export type { ManifestMistake } from './manifest-document.ts'

/** What a manifest declares, with the defaults filled in. */
export interface Declaration {
  readonly namespace: string
  readonly queues: QueueDefinition[]
  /** What the service publishes. */
  readonly events: DeclaredEvent[]
  /** The manifest itself, untouched: what is not ours in it passes through. */
  readonly manifest: Record<string, unknown>
}

export type ParsedManifest =
  | { readonly kind: 'accepted'; readonly declaration: Declaration; readonly warnings: ManifestMistake[] }
  | { readonly kind: 'refused'; readonly mistakes: ManifestMistake[] }

/** Parts of `spec` that are ours; anything near to one of them is taken for a misspelling. */
const OURS = ['queues', 'schedules', 'subscriptions', 'events']
const NOT_YET = ['workflows']

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
  const subscriptions = readItems(document, {
    list: 'subscriptions',
    value: spec.subscriptions,
    schema: manifestSubscriptionSchema,
    routes,
  })
  const events = readItems(document, { list: 'events', value: spec.events, schema: declaredEventSchema, routes })
  const nameFault = namespace.success
    ? []
    : [`${namespace.error.issues[0]?.message}; it is the namespace of the service`]
  const mistakes = [
    ...nameFault.map((detail) => mistakeAt(document, ['metadata', 'name'], detail)),
    ...checkSpecKeys(document, spec),
    ...queues.mistakes,
    ...schedules.mistakes,
    ...subscriptions.mistakes,
    ...events.mistakes,
  ]
  if (mistakes.length > 0 || !namespace.success) return refuse(mistakes)

  const definitions: QueueDefinition[] = [
    ...queues.items.map((queue): QueueDefinition => ({ kind: 'queue', ...queue })),
    ...schedules.items.map(defineSchedule),
    ...subscriptions.items.map(subscriptionQueue),
  ]
  const warnings = [
    ...(definitions.length > 0
      ? []
      : [mistakeAt(document, ['spec'], 'declares no queues, no schedules and no subscriptions')]),
    ...schedules.items.flatMap((schedule, index) =>
      warningsOfSchedule(schedule).map(([field, detail]) =>
        mistakeAt(document, ['spec', 'schedules', index, field], detail),
      ),
    ),
    ...subscriptions.items.flatMap(({ endpoint }, index) => warnOfPublic(document, endpoint, index)),
  ]
  const declaration = { namespace: namespace.data, queues: definitions, events: events.items, manifest: root }
  return { kind: 'accepted', declaration, warnings }
}

/** Events may be taken at a public address; where that is not meant, it should not go unseen. */
function warnOfPublic(document: ManifestDocument, endpoint: string | undefined, index: number): ManifestMistake[] {
  if (endpoint === undefined || endpoint.startsWith('/internal/')) return []
  const detail = `"${endpoint}" does not start with /internal/, so a gateway may publish it`
  return [mistakeAt(document, ['spec', 'subscriptions', index, 'endpoint'], detail)]
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
  if (NOT_YET.includes(key)) return `this version of Millrace has no ${key} yet, so take them out`
  // Short words are near to many others that are not meant.
  const meant = OURS.find((ours) => distance(key.toLowerCase(), ours) <= (ours === 'events' ? 1 : 2))
  return meant && `is not a known field; did you mean "${meant}"?`
}
