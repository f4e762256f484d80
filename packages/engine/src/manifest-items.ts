import {
  backoffSchema,
  batchSchema,
  catchUpSchema,
  dstPolicySchema,
  type Limit,
  rateLimitSchema,
  STORE_LIMITS,
} from '@millrace/contracts'
import { distance } from 'fastest-levenshtein'
import type { z } from 'zod'
import { faultsOfItem, isRecord } from './item-faults.ts'
import { type ManifestDocument, type ManifestMistake, mistakeAt } from './manifest-document.ts'

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
  dst: Object.keys(dstPolicySchema.shape),
}

type List = 'queues' | 'schedules' | 'subscriptions' | 'events'

/** How many items each list may have. */
const MOST: Readonly<Record<List, Limit>> = {
  queues: STORE_LIMITS.queues,
  schedules: STORE_LIMITS.schedules,
  subscriptions: STORE_LIMITS.subscriptions,
  events: STORE_LIMITS.eventTypes,
}

/**
 * Read one list of the manifest, `spec.queues` or `spec.schedules`. Every item is checked in every respect, so that one
 * mistake does not hide another.
 */
export function readItems<Schema extends z.ZodObject>(
  document: ManifestDocument,
  { list, value, schema, routes }: { list: List; value: unknown; schema: Schema; routes: readonly string[] },
): ReadItems<z.infer<Schema>> {
  if (value === undefined || value === null) return { items: [], mistakes: [] }
  if (!Array.isArray(value)) {
    const detail = 'expected a list, each item starting with "- name: …"'
    return { items: [], mistakes: [mistakeAt(document, ['spec', list], detail)] }
  }
  const most = MOST[list].value
  // Before each is looked at: what is to be refused must not cost more the more of it there is.
  if (value.length > most) {
    const detail = `has ${value.length} items, the limit is ${most}: split the service`
    return { items: [], mistakes: [mistakeAt(document, ['spec', list], detail)] }
  }
  const items: z.infer<Schema>[] = []
  const mistakes: ManifestMistake[] = [...duplicates(document, { list, items: value })]
  value.forEach((raw, index) => {
    const path = ['spec', list, index]
    const parsed = schema.safeParse(raw)
    if (parsed.success) items.push(parsed.data)
    else mistakes.push(...parsed.error.issues.flatMap((issue) => explain(document, path, issue, { schema, raw })))
    for (const fault of isRecord(raw) ? faultsOfItem(raw, { list, routes }) : [])
      mistakes.push(mistakeAt(document, [...path, ...fault.path], fault.detail))
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
