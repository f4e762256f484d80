import { DatabaseSync } from 'node:sqlite'
import { createPartitions, fullAddress, type Partitions, readLedger, storeTime } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import pg from 'pg'
import type { Balance, Evidence, ScheduleEvidence } from './checks.ts'
import type { Told } from './load.ts'
import { LIMITS, NAMESPACE, QUEUES, SCHEDULES } from './manifest.ts'
import type { Platform } from './platform.ts'
import type { Service } from './service.ts'
import type { Witnessed } from './witness.ts'

export interface Sources {
  readonly platform: Platform
  readonly service: Service
  readonly told: Told
  readonly seen: Witnessed
  readonly surprises: readonly string[]
}

const INTERVAL_MS = 1000
const READY_MS = 60_000

/** Everything that is to be judged, of a platform that has come to rest. */
export async function gatherEvidence(sources: Sources): Promise<Evidence> {
  const { deployment } = sources.platform
  const connections = deployment.look()
  const partitions = createPartitions(connections.of, deployment.partitions)
  for (const { number } of partitions.all) connections.of(number)
  await connections.ready({ timeoutMs: READY_MS })
  try {
    // Servers of a cluster that stood still for a while may take each other for dead once more.
    return await eventually(() => gather(sources, partitions), { timeoutMs: READY_MS, what: 'the evidence to be read' })
  } finally {
    connections.disconnect()
  }
}

async function gather(
  { platform, service, told, seen, surprises }: Sources,
  partitions: Partitions,
): Promise<Evidence> {
  const url = platform.urlOf('dispatcher-1')
  const get = async <T>(address: string): Promise<T> => (await (await fetch(address)).json()) as T
  const balances: Balance[] = []
  for (const queue of QUEUES) {
    balances.push({ queue, ...(await get<Omit<Balance, 'queue'>>(`${url}/queues/${NAMESPACE}/${queue}/balance`)) })
  }
  return {
    balances,
    accepted: told.jobs,
    jobs: seen.jobs,
    answered: service.answered,
    events: told.events,
    eventJobs: service.eventJobs,
    running: [...seen.mostRunning].flatMap(([place, most]) => {
      const [queue, key] = place.split(' ') as [string, string?]
      const limit = key === undefined ? LIMITS[queue] : 1
      return limit === undefined ? [] : [{ place, limit, most }]
    }),
    schedules: await readSchedules(partitions, seen),
    trails: await readTrails(platform, seen),
    verdict: await get<Evidence['verdict']>(`${platform.urlOf('audit-1')}/v1/verify`),
    ...(await readPending(partitions)),
    surprises: [...told.surprises, ...platform.apps.flatMap(({ crashes }) => crashes), ...surprises],
  }
}

/** What is still to come of what producers were told: an event is no job yet while a router has not come to it. */
export function unroutedEvents({ told, service }: Pick<Sources, 'told' | 'service'>): string[] {
  return [...told.events].filter((id) => !service.eventJobs.has(id))
}

/** Resolves when no queue has anything left to do, and nothing is `underWay` besides, or says what is left. */
export async function untilAtRest(
  platform: Platform,
  { timeoutMs, underWay = () => [] }: { timeoutMs: number; underWay?: () => readonly string[] },
): Promise<string | undefined> {
  const url = platform.urlOf('dispatcher-1')
  let left: unknown
  const atRest = async () => {
    // First, since what has arrived is in a queue, or was.
    left = underWay()
    if ((left as unknown[]).length > 0) return false
    const answer = await fetch(`${url}/queues?namespace=${NAMESPACE}`)
    const { queues } = (await answer.json()) as { queues: { waiting: number; scheduled: number; running: number }[] }
    left = queues.filter(({ waiting, scheduled, running }) => waiting + scheduled + running > 0)
    return (left as unknown[]).length === 0
  }
  return eventually(atRest, { timeoutMs, intervalMs: 200, what: 'the queues to come to rest' }).then(
    () => undefined,
    (error: Error) => `${error.message} Left: ${JSON.stringify(left)}`,
  )
}

/** Resolves when the store has as many records as the log has facts, or when it has had its time; the checks tell which. */
export async function untilRecorded(platform: Platform, seen: Witnessed, timeoutMs: number): Promise<void> {
  const isRecorded = async () => {
    const trails = await readTrails(platform, seen)
    return (
      trails.some(({ facts }) => facts.length > 0) &&
      trails.every(({ facts, records }) => facts.length === records.length)
    )
  }
  await eventually(isRecorded, { timeoutMs, intervalMs: 300 }).catch(() => undefined)
}

async function readSchedules(partitions: Partitions, seen: Witnessed): Promise<ScheduleEvidence[]> {
  const schedules: ScheduleEvidence[] = []
  for (const name of SCHEDULES) {
    const queue = `schedule:${name}`
    const address = fullAddress(NAMESPACE, queue)
    const rows = await readLedger(partitions.of(address), { address, count: 1_000_000 })
    const ledger = rows.map(({ row }) => ({ at: new Date(row.atMs).toISOString(), state: row.state, jobId: row.jobId }))
    schedules.push({ name, fired: seen.fired.get(queue) ?? [], ledger, intervalMs: INTERVAL_MS })
  }
  return schedules
}

async function readTrails({ store }: Platform, seen: Witnessed): Promise<Evidence['trails']> {
  const text = 'SELECT partition, event_id FROM records ORDER BY partition, seq'
  const rows =
    store.databaseUrl === undefined ? fromSqlite(store.sqlitePath, text) : await fromPostgres(store.databaseUrl, text)
  const records = Map.groupBy(rows, ({ partition }) => partition)
  return [...seen.facts].map(([partition, facts]) => ({
    partition,
    facts: [...facts],
    records: (records.get(partition) ?? []).map(({ event_id }) => event_id),
  }))
}

interface RecordRow {
  readonly partition: number
  readonly event_id: string
}

function fromSqlite(path: string, text: string): RecordRow[] {
  const file = new DatabaseSync(path, { readOnly: true, timeout: 5000 })
  try {
    return file.prepare(text).all() as unknown as RecordRow[]
  } finally {
    file.close()
  }
}

async function fromPostgres(url: string, text: string): Promise<RecordRow[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  return client
    .query<RecordRow>(text)
    .then(({ rows }) => rows)
    .finally(() => client.end())
}

async function readPending(partitions: Partitions): Promise<Pick<Evidence, 'pending' | 'owners'>> {
  const owners = new Set<string>()
  for (const partition of partitions.all) {
    const nowMs = await storeTime(partition)
    for (const owner of await partition.redis.zrangebyscore(partition.keys.consumers, nowMs, '+inf')) owners.add(owner)
  }
  const pending: { queue: string; entry: string; owner: string }[] = []
  for (const queue of QUEUES) {
    const address = fullAddress(NAMESPACE, queue)
    const { redis, keys } = partitions.of(address)
    for (const field of await redis.hkeys(keys.inHand(address))) {
      const [entry = '', , owner = ''] = field.split(' ')
      pending.push({ queue, entry, owner })
    }
  }
  return { pending, owners }
}
