import type { QueueDefinition } from '@millrace/contracts'
import type { BreakerNote, JobPlace, Paused, SlotHolder } from '@millrace/streams'

/** One thing that a job waits for, or what it is doing. */
export interface Reason {
  readonly code: string
  readonly detail: string
}

export interface ExplainContext {
  /** Undefined when the queue is declared no more. */
  readonly definition?: QueueDefinition
  readonly nowMs: number
  /** Pull consumers of the queue that are there, where it is pulled. */
  readonly pullConsumers?: number
  /** The open circuit that its requests would have to pass. */
  readonly circuit?: BreakerNote
  /** Why this dispatcher cannot sign for its namespace. */
  readonly unsigned?: string
}

/** Why a job is not running now, or that it is: everything that holds it up, the first thing first. */
export function explain(place: JobPlace, context: ExplainContext): Reason[] {
  const { definition, nowMs, pullConsumers } = context
  if (place.state === 'dead')
    return [{ code: 'dead', detail: 'It is a dead letter. POST /jobs/{id}/retry puts it back into its queue.' }]
  if (place.state === 'running') {
    const cancelling = place.cancelling ? ', and its request is being ended because it was cancelled' : ''
    if (place.consumer === '@leased')
      return [{ code: 'leased', detail: 'Its worker has taken it over under a lease and will say how it ends.' }]
    return [{ code: 'running', detail: `It is being delivered by ${place.consumer}${cancelling}.` }]
  }
  if (place.state === 'scheduled') return [scheduled(place, nowMs), ...pauses(place), ...drain(place)]
  const reasons = [
    ...undeclared(definition),
    ...pauses(place),
    ...nobodyThere(definition, pullConsumers),
    ...unsigned(context),
    ...circuit(context),
    ...limits(place, definition),
    ...rates(place, nowMs),
    ...line(place),
  ]
  const next = { code: 'next', detail: 'Nothing holds it up: it is the next to start.' }
  return [...(reasons.length > 0 ? reasons : [next]), ...drain(place)]
}

function scheduled({ dueMs = 0 }: JobPlace, nowMs: number): Reason {
  const at = new Date(dueMs).toISOString()
  if (dueMs <= nowMs) return { code: 'due', detail: `It was due at ${at} and is about to move into its queue.` }
  return { code: 'scheduled', detail: `It waits until ${at}, ${Math.ceil((dueMs - nowMs) / 1000)} s from now.` }
}

function undeclared(definition: QueueDefinition | undefined): Reason[] {
  return definition
    ? []
    : [
        {
          code: 'undeclared',
          detail: 'Its queue is no longer declared: nobody delivers it. Apply a manifest that declares it.',
        },
      ]
}

function nobodyThere(definition: QueueDefinition | undefined, pullConsumers: number | undefined): Reason[] {
  if (definition?.delivery !== 'pull' || pullConsumers !== 0) return []
  const detail =
    'Its queue is pulled, and no consumer is there: start the service that calls consume() or subscribe() for it.'
  return [{ code: 'no_consumer', detail }]
}

function pauses({ paused, keyPaused, key }: JobPlace): Reason[] {
  return [
    ...(paused ? [{ code: 'queue_paused', detail: `The queue ${byWhom(paused)}.` }] : []),
    ...(keyPaused ? [{ code: 'key_paused', detail: `The key "${key}" ${byWhom(keyPaused)}.` }] : []),
  ]
}

/** Holds up nobody who is in; said because what is expected to follow will not. */
function drain({ draining }: JobPlace): Reason[] {
  if (!draining) return []
  const { who, why, at } = draining
  const detail = `The queue has been drained by ${who} since ${at}${why ? `: ${why}` : ''}. It takes no new jobs; this one is delivered.`
  return [{ code: 'queue_draining', detail }]
}

function byWhom({ who, why, at }: Paused): string {
  return `was paused by ${who} at ${at}${why ? `: ${why}` : ''}`
}

function unsigned({ unsigned: problem }: ExplainContext): Reason[] {
  if (problem === undefined) return []
  const detail = `The dispatcher that you ask cannot sign its request and leaves it to one that can: ${problem}`
  return [{ code: 'unsigned', detail }]
}

function circuit({ circuit: open }: ExplainContext): Reason[] {
  if (!open) return []
  const where = open.scope === 'origin' ? open.origin : open.origin + open.path
  return [
    {
      code: 'circuit_open',
      detail: `The circuit of ${where} has been open since ${open.since}: it gave no usable answers. One probe at a time goes out; no attempt is burnt.`,
    },
  ]
}

function limits(
  { queueRunning, keyRunning, key, running = [], keyHolders = [] }: JobPlace,
  definition: QueueDefinition | undefined,
): Reason[] {
  if (!definition) return []
  const { concurrency, keyConcurrency } = definition
  return [
    ...(queueRunning >= concurrency
      ? [
          {
            code: 'concurrency',
            detail: `${queueRunning} of ${concurrency} jobs of the queue are running: ${named(running, queueRunning)}.`,
          },
        ]
      : []),
    ...(key !== undefined && keyConcurrency !== undefined && keyRunning >= keyConcurrency
      ? [
          {
            code: 'key_concurrency',
            detail: `${keyRunning} of ${keyConcurrency} jobs of the key "${key}" have a slot: ${named(keyHolders.map(withState), keyRunning)}.`,
          },
        ]
      : []),
  ]
}

/** The jobs that stand in the way, as far as they are known by name. */
function named(jobs: readonly string[], count: number): string {
  const more = count - jobs.length
  return [...jobs, ...(more > 0 ? [`${more}${jobs.length > 0 ? ' more' : ''}`] : [])].join(', ')
}

const HOLDING: Readonly<Record<SlotHolder['state'], string>> = {
  running: '',
  scheduled: ' (waits for its retry)',
  dead: ' (a dead letter, which blocks the key until it is retried or discarded)',
}

function withState({ id, state }: SlotHolder): string {
  return id + HOLDING[state]
}

/** Only while there is no token: a limit that lets the next start through holds nobody up. */
function rates({ rateWaitMs, keyRateWaitMs, key }: JobPlace, nowMs: number): Reason[] {
  const reason = (waitMs: number | undefined, of: string) =>
    waitMs === undefined
      ? []
      : [
          {
            code: 'rate_limit',
            detail: `The rate limit of ${of} has no token; the next one comes at ${new Date(nowMs + waitMs).toISOString()}, in ${waitMs} ms.`,
          },
        ]
  return [...reason(rateWaitMs, 'the queue'), ...reason(keyRateWaitMs, `the key "${key}"`)]
}

function line({ ahead, moreAhead, key, lane }: JobPlace): Reason[] {
  if (ahead === 0) return []
  const count = moreAhead ? `${ahead} or more` : String(ahead)
  return [
    {
      code: 'in_line',
      detail: `${count} jobs of ${key === undefined ? `the lane "${lane}"` : `the key "${key}"`} come before it.`,
    },
  ]
}
