import { setImmediate as turnOfOthers } from 'node:timers/promises'
import type { Place } from '@millrace/engine'
import type { Clock, Logger } from '@millrace/runtime'
import type { Partitions } from '@millrace/streams'
import { PLACES_PER_EVENT } from '../api/erase-route.ts'
import { idOfMs } from '../queries/time-range.ts'
import type { Database } from '../store/database.ts'
import { mayBeErased } from '../store/payloads.ts'
import type { Turn } from './duty.ts'
import { type RecordedDeps, stateErasure, waitUntilRecorded } from './erase.ts'

/** How long payloads of a class are kept. A class is what event types a pattern fits; the first rule that fits counts. */
export interface RetentionRule {
  /** Exact, or a prefix with `*` at its end. */
  readonly pattern: string
  readonly keepMs: number
}

export interface RetentionDeps extends RecordedDeps {
  readonly read: Database['read']
  readonly partitions: Partitions
  readonly rules: readonly RetentionRule[]
  readonly clock: Clock
  readonly logger: Logger
}

/** Longer than a recorder that is replaced; after it the next turn goes on. */
const DONE_WITHIN_MS = 30_000
/** About 10 ms of reading. */
const PAGE_ROWS = 5000

/** Destroy what payloads are older than their rule lets them be, unless a legal hold keeps them. */
export async function prune(deps: RetentionDeps, turn: Turn): Promise<void> {
  for (const rule of deps.rules) {
    let erased = 0
    for await (const places of duePlaces(deps, rule, turn)) {
      erased += places.length
      const why = `kept for ${rule.keepMs / DAY_MS} days`
      const entityId = `retention/${rule.pattern}`
      const eventId = await stateErasure(deps.partitions, places, { entityId, who: 'millrace', why })
      const waits = { timeoutMs: DONE_WITHIN_MS, abort: turn.abort }
      // Its recorder does it in any case; going on before would name the same places once more.
      if (!(await waitUntilRecorded(deps, eventId, waits))) return
    }
    if (erased > 0)
      deps.logger.info({ event: 'payloads.pruned', pattern: rule.pattern, erased }, 'payloads were destroyed')
  }
}

const DAY_MS = 86_400_000

/** Places whose time is over by a rule, in portions for one event each. */
async function* duePlaces(
  { read, rules, clock }: RetentionDeps,
  rule: RetentionRule,
  { abort, pause }: Turn,
): AsyncGenerator<Place[]> {
  const before = idOfMs('evt', clock.now() - rule.keepMs)
  const earlier = rules.slice(0, rules.indexOf(rule))
  let after = ''
  let portion: Place[] = []
  for (;;) {
    abort.throwIfAborted()
    const rows = await read
      .selectFrom('records')
      .select(['event_id', 'partition', 'seq', 'event_type'])
      .select((eb) => eb.case().when(mayBeErased(eb)).then(1).else(0).end().as('erasable'))
      .where('event_id', '>', after)
      .where('event_id', '<', before)
      .orderBy('event_id')
      .limit(PAGE_ROWS)
      .execute()
    for (const { event_type, partition, seq, erasable } of rows) {
      if (erasable !== 1 || !fits(event_type, rule) || earlier.some((other) => fits(event_type, other))) continue
      portion.push({ partition, seq })
    }
    if (portion.length >= PLACES_PER_EVENT || rows.length < PAGE_ROWS) {
      if (portion.length > 0) yield portion
      portion = []
    }
    if (rows.length < PAGE_ROWS) return
    after = rows.at(-1)?.event_id ?? after
    await turnOfOthers()
    await pause()
  }
}

function fits(eventType: string, { pattern }: RetentionRule): boolean {
  return pattern.endsWith('*') ? eventType.startsWith(pattern.slice(0, -1)) : eventType === pattern
}

/**
 * Rules as configuration has them: `job.*=90,order.paid=2555,*=1095`, days by pattern.
 * @throws Error that says which part is wrong.
 */
export function parseRetention(text: string): RetentionRule[] {
  return text.split(',').map((part) => {
    const [, pattern, days] = /^\s*([A-Za-z0-9._:-]*\*?)=(\d+(?:\.\d+)?)\s*$/.exec(part) ?? []
    if (!pattern || days === undefined)
      throw new Error(`expected pattern=days such as job.*=90, comma between them, and "${part}" is none`)
    return { pattern, keepMs: Number(days) * DAY_MS }
  })
}
