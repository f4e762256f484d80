import { isPlatformEvent, PLATFORM_EVENT_TYPES } from '@millrace/contracts'

/** Which types a subscription asks for: `order.paid`, `order.*` (all below), `*` (all that services publish). */
export interface TypePatterns {
  readonly types: readonly string[]
}

export interface SubscriptionIndex<Item> {
  /** The subscriptions whose patterns fit a type. The cost depends on the type and on these, not on all the others. */
  candidates(type: string): ReadonlySet<Item>
  readonly size: number
}

const EVERYTHING = '*'
/** Answers that are remembered: more types than this a busy platform hardly has, and no stranger's can fill the memory. */
const MAX_REMEMBERED = 2000

/**
 * Subscriptions by the types that they ask for. A type is looked up as it is, then by each of its beginnings
 * (`order.line.added`: `order.line.*`, `order.*`), then under `*`.
 *
 * What the platform itself says (`job.dead_lettered`) is not part of `*`: whoever wants it writes it out. A subscription
 * to everything would otherwise hear of its own deliveries.
 */
export function indexSubscriptions<Item extends TypePatterns>(subscriptions: Iterable<Item>): SubscriptionIndex<Item> {
  const byPattern = new Map<string, Set<Item>>()
  let size = 0
  for (const subscription of subscriptions) {
    size++
    const patterns = subscription.types.length > 0 ? subscription.types : [EVERYTHING]
    for (const pattern of patterns) {
      const known = byPattern.get(pattern)
      if (known) known.add(subscription)
      else byPattern.set(pattern, new Set([subscription]))
    }
  }
  const remembered = new Map<string, ReadonlySet<Item>>()
  return {
    size,
    candidates(type) {
      const known = remembered.get(type)
      if (known) return known
      const found = new Set<Item>()
      const add = (pattern: string) => {
        for (const subscription of byPattern.get(pattern) ?? []) found.add(subscription)
      }
      if (size === 0) return found
      add(type)
      for (let dot = type.indexOf('.'); dot >= 0; dot = type.indexOf('.', dot + 1)) add(`${type.slice(0, dot)}.*`)
      if (!isPlatformEvent(type)) add(EVERYTHING)
      if (remembered.size >= MAX_REMEMBERED) remembered.clear()
      remembered.set(type, found)
      return found
    },
  }
}

/** The types of the platform's own facts that nobody in an index asks for: mostly all of them. */
export function unaskedTypes(index: SubscriptionIndex<unknown>): string[] {
  return PLATFORM_EVENT_TYPES.filter((type) => index.candidates(type).size === 0)
}

/** Whether a type fits one of the patterns; no pattern fits like `*`. */
export function fitsTypes(patterns: readonly string[], type: string): boolean {
  return indexSubscriptions([{ types: patterns }]).candidates(type).size > 0
}
