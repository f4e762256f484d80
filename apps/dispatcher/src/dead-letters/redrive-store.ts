import { ProblemError, REDRIVE_EVENTS, type Redrive, type RedriveRequest } from '@millrace/contracts'
import { type RedriveState, stopRedrive } from '@millrace/engine'
import {
  advanceRedrive,
  type By,
  fullAddress,
  newestDeadLetter,
  type Partition,
  type Partitions,
  type RedriveAdvanced,
  readRedrive,
  readRedrives,
  storeTime,
} from '@millrace/streams'

/** A redrive and where it was found, with its state as it was read. */
export interface KnownRedrive {
  readonly partition: Partition
  readonly text: string
  readonly state: RedriveState
}

/** Begin a redrive, or find the one that was begun with this id. */
export async function beginRedrive(
  partitions: Partitions,
  { request, id, by }: { request: RedriveRequest; id: string; by: By },
): Promise<{ begun: boolean; state: RedriveState }> {
  const known = await findRedrive(partitions, id)
  if (known) return { begun: false, state: sameAs(known.state, request) }
  const { namespace, queue } = request.filter
  const address = fullAddress(namespace, queue)
  const partition = partitions.of(address)
  const state = newRedrive(request, {
    ...{ id, by },
    upTo: await newestDeadLetter(partition, address),
    nowMs: await storeTime(partition),
  })
  const { filter, limit, ratePerSecond, canary } = request
  const data = { ...by, redriveId: id, filter, limit, ratePerSecond, canary }
  const event = { type: REDRIVE_EVENTS.started, data }
  const result = await advanceRedrive(partition, {
    ...{ id, address, by, event },
    to: JSON.stringify(state),
    running: true,
  })
  if (result.kind !== 'conflict' || result.state === undefined) return { begun: true, state }
  return { begun: false, state: sameAs(JSON.parse(result.state) as RedriveState, request) }
}

function newRedrive(
  { filter, limit, ratePerSecond, canary }: RedriveRequest,
  { id, by, upTo, nowMs }: { id: string; by: By; upTo: string | undefined; nowMs: number },
): RedriveState {
  return {
    id,
    state: 'running',
    filter,
    ...(limit !== undefined && { limit }),
    ...(ratePerSecond !== undefined && { ratePerSecond }),
    ...(canary && { canary: { ...canary, step: 'first', taken: 0, died: 0, waitingFor: [] } }),
    ...{ redriven: 0, lookedAt: 0, startedAt: new Date(nowMs).toISOString(), nextAtMs: 0, after: '' },
    ...by,
    upTo: upTo ?? '',
    exhausted: upTo === undefined,
  }
}

/** An id stands for one redrive: brought with another one, it is a mistake worth hearing of. */
function sameAs(state: RedriveState, asked: RedriveRequest): RedriveState {
  const plan = ({ filter, limit, ratePerSecond, canary }: RedriveState | RedriveRequest) =>
    JSON.stringify([filter, limit, ratePerSecond, canary?.failureShare])
  if (plan(state) === plan(asked)) return state
  throw new ProblemError(
    'redrive.conflict',
    `The redrive "${state.id}" has another filter, limit, rate or canary. GET /redrives/${state.id} shows it.`,
  )
}

export async function findRedrive(partitions: Partitions, id: string): Promise<KnownRedrive | undefined> {
  const texts = await Promise.all(partitions.all.map((partition) => readRedrive(partition, id)))
  const index = texts.findIndex((text) => text !== undefined)
  const [partition, text] = [partitions.all[index], texts[index]]
  return partition && text !== undefined ? { partition, text, state: JSON.parse(text) as RedriveState } : undefined
}

/** Those of a namespace, the newest first. */
export async function listRedrives(partitions: Partitions, namespace: string): Promise<RedriveState[]> {
  const texts = (await Promise.all(partitions.all.map(readRedrives))).flat()
  const states = texts.map((text) => JSON.parse(text) as RedriveState)
  return states
    .filter(({ filter }) => filter.namespace === namespace)
    .sort((a, b) => (orderOf(a) < orderOf(b) ? 1 : -1))
}

/** What a list of redrives is sorted by, and goes on after. */
export function orderOf({ startedAt, id }: Pick<RedriveState, 'startedAt' | 'id'>): string {
  return `${startedAt} ${id}`
}

/** Stop a redrive, whatever step it is at; one that is over stays as it is. */
export async function stopKnown(partitions: Partitions, { id, by }: { id: string; by: By }): Promise<RedriveState> {
  for (;;) {
    const known = await findRedrive(partitions, id)
    if (!known) throw unknownRedrive(id)
    if (known.state.state !== 'running') return known.state
    const next = stopRedrive(known.state, { ...by, nowMs: await storeTime(known.partition) })
    // Another state: it went on a step meanwhile, so read again. Each time somebody else has got on.
    if ((await saveRedrive(known, next)).kind === 'advanced') return next
  }
}

/** Take a redrive to its next state, with the letters of this step; the event of its end goes with it. */
export function saveRedrive(
  { partition, text, state }: KnownRedrive,
  next: RedriveState,
  ids: readonly string[] = [],
): Promise<RedriveAdvanced> {
  const { id, who, why, filter } = state
  const event = endOf(next)
  return advanceRedrive(partition, {
    id,
    address: fullAddress(filter.namespace, filter.queue),
    from: text,
    to: JSON.stringify(next),
    running: next.state === 'running',
    ids,
    by: { who, ...(why !== undefined && { why }) },
    ...(event && { event }),
  })
}

function endOf({ id, state, who, why, stopped, redriven }: RedriveState) {
  if (state === 'running') return undefined
  if (state === 'finished') return { type: REDRIVE_EVENTS.finished, data: { who, why, redriveId: id, redriven } }
  return { type: REDRIVE_EVENTS.stopped, data: { ...stopped, redriveId: id, redriven } }
}

/** As the API tells of it. */
export function toRedrive(state: RedriveState): Redrive {
  const { after: _after, upTo: _upTo, exhausted: _exhausted, nextAtMs: _nextAtMs, ...redrive } = state
  return redrive
}

export function unknownRedrive(id: string): ProblemError {
  return new ProblemError(
    'redrive.unknown',
    `There is no redrive "${id}"; 30 days after its end one is forgotten. GET /redrives lists them.`,
  )
}
