import { z } from 'zod'

/** Lower-case letters, digits and dashes, as a DNS label: a namespace becomes part of a host name. */
export const namespaceSchema = z
  .string()
  .regex(
    /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/,
    'must be 1 to 63 lower-case letters, digits or dashes, not starting or ending with a dash',
  )

/** Queue, schedule and subscription names stand in Redis keys and metric labels, so no colon, slash or space. */
export const nameSchema = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/,
    'must be 1 to 63 letters, digits, dots, dashes or underscores, starting with a letter or digit',
  )

/** Whose chains the platform's own facts about the trail are in. No service can have this name. */
export const TRAIL_NAMESPACE = '@millrace'

/** Of whom the trail is asked: a service, or the platform itself. */
export const recordedNamespaceSchema = z.union([namespaceSchema, z.literal(TRAIL_NAMESPACE)], {
  error: 'must be 1 to 63 lower-case letters, digits or dashes, not starting or ending with a dash, or @millrace',
})

export const QUEUE_KINDS = ['queue', 'schedule', 'subscription'] as const
export type QueueKind = (typeof QUEUE_KINDS)[number]

/**
 * Everything that is delivered is a job in a queue, and a queue, a schedule and a subscription of one service may have the
 * same name. The address tells them apart: `sync-record` is a queue, `schedule:nightly-sync` the queue of a schedule's
 * ticks, `subscription:orders` that of the events that a subscription matches.
 */
export function queueAddress(kind: QueueKind, name: string): string {
  return kind === 'queue' ? name : `${kind}:${name}`
}

export function parseQueueAddress(address: string): { kind: QueueKind; name: string } {
  const colon = address.indexOf(':')
  if (colon === -1) return { kind: 'queue', name: address }
  return { kind: address.slice(0, colon) as QueueKind, name: address.slice(colon + 1) }
}
