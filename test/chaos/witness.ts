import { setTimeout as sleep } from 'node:timers/promises'
import { idFromPosition, JOB_EVENTS, type LogEvent, SCHEDULE_EVENTS } from '@millrace/contracts'
import {
  connectBlocking,
  createLogReader,
  createPartitions,
  type Partition,
  registryPartition,
} from '@millrace/streams'
import type { Deployment } from './deployment.ts'

/** What the log says of one job. */
export interface JobFacts {
  readonly queue: string
  enqueued: number
  /** The facts that ended it, in order. */
  readonly ends: string[]
  /** The attempts that were settled and counted, in order. */
  readonly settled: number[]
}

/** The log as somebody saw it who read along, beside the audit app and without its store. */
export interface Witnessed {
  readonly jobs: Map<string, JobFacts>
  /** The most jobs that ran at once, by queue, and by queue and key. */
  readonly mostRunning: Map<string, number>
  /** Nominal times that fired, in the order of the log, by schedule. */
  readonly fired: Map<string, string[]>
  /** The id of every fact, by partition, in the order of the log. */
  readonly facts: Map<number, string[]>
  takenOver: number
}

export interface Witness {
  readonly seen: Witnessed
  stop(): Promise<void>
}

const GROUP = 'witness'
const BLOCK_MS = 500
const BATCH = 1000

/**
 * Reads along on a connection of its own. Its group holds the log back for it as for any reader, so it misses nothing however
 * long Redis is away.
 */
export function startWitness(deployment: Deployment): Witness {
  const seen: Witnessed = { jobs: new Map(), mostRunning: new Map(), fired: new Map(), facts: new Map(), takenOver: 0 }
  const folding = createFolding(seen)
  const commands = deployment.look()
  let going = true
  const follow = async (partition: Partition) => {
    const blocking = connectBlocking({
      ...{ url: deployment.url, partition: partition.number, role: 'witness', blockMs: BLOCK_MS },
    })
    const reader = createLogReader({ partition, blocking, group: GROUP })
    let cursor = { position: '0-0', entriesRead: 0 }
    seen.facts.set(partition.number, [])
    while (going) {
      try {
        await reader.open(cursor)
        const events = await reader.read({ after: cursor.position, count: BATCH, blockMs: BLOCK_MS })
        for (const event of events) folding(event)
        const entries = events.filter(({ endsEntry }) => endsEntry).length
        cursor = { position: events.at(-1)?.position ?? cursor.position, entriesRead: cursor.entriesRead + entries }
        if (events.length > 0) await reader.commit(cursor)
      } catch {
        // Redis is away, which is what the run is about.
        await sleep(100)
      }
    }
    blocking.disconnect()
  }
  const { all } = createPartitions(commands.of, deployment.partitions)
  const following = [...all, registryPartition(commands.of)].map(follow)
  return {
    seen,
    async stop() {
      going = false
      await Promise.all(following)
      commands.disconnect()
    },
  }
}

const ENDS: readonly string[] = [
  JOB_EVENTS.succeeded,
  JOB_EVENTS.deadLettered,
  JOB_EVENTS.cancelled,
  JOB_EVENTS.expired,
]

/** Folds facts one after the other, in the order of their log. */
export function createFolding(seen: Witnessed): (event: LogEvent) => void {
  const running = new Map<string, Set<string>>()
  const keys = new Map<string, string>()

  // What a consumer has claimed ahead, oldest first: the next of it begins when one of that consumer's attempts ends.
  const ahead = new Map<string, string[]>()
  const consumers = new Map<string, string>()

  const placesOf = (queue: string, job: string) => {
    const key = keys.get(job)
    return key === undefined ? [queue] : [queue, `${queue} ${key}`]
  }
  const aheadOf = (queue: string, consumer: string) => {
    const known = ahead.get(`${queue} ${consumer}`) ?? []
    ahead.set(`${queue} ${consumer}`, known)
    return known
  }
  const run = (queue: string, job: string) => {
    for (const place of placesOf(queue, job)) {
      const jobs = running.get(place) ?? new Set()
      running.set(place, jobs.add(job))
      seen.mostRunning.set(place, Math.max(seen.mostRunning.get(place) ?? 0, jobs.size))
    }
  }
  const start = ({ queue, entityId, data }: LogEvent) => {
    const { consumer = '', prefetched } = JSON.parse(data) as { consumer?: string; prefetched?: true }
    consumers.set(entityId, consumer)
    const waiting = aheadOf(queue, consumer)
    if (prefetched) {
      waiting.push(entityId)
      return
    }
    for (const job of waiting.splice(0)) run(queue, job)
    run(queue, entityId)
  }
  const takeOver = ({ queue, entityId, data }: LogEvent) => {
    const { from = '', consumer = '' } = JSON.parse(data) as { from?: string; consumer?: string }
    consumers.set(entityId, consumer)
    const left = aheadOf(queue, from)
    if (left.includes(entityId)) aheadOf(queue, consumer).push(...left.splice(left.indexOf(entityId), 1))
  }
  const end = ({ queue, entityId }: LogEvent) => {
    const waiting = aheadOf(queue, consumers.get(entityId) ?? '')
    const at = waiting.indexOf(entityId)
    consumers.delete(entityId)
    if (at >= 0) {
      waiting.splice(at, 1)
      return
    }
    const ran = placesOf(queue, entityId).map((place) => running.get(place)?.delete(entityId))
    const next = ran.includes(true) ? waiting.shift() : undefined
    if (next !== undefined) run(queue, next)
  }
  const onJob = (event: LogEvent) => {
    const known = seen.jobs.get(event.entityId)
    const job = known ?? { queue: event.queue, enqueued: 0, ends: [], settled: [] }
    if (!known) seen.jobs.set(event.entityId, job)
    const { type } = event
    if (type === JOB_EVENTS.enqueued) {
      job.enqueued++
      const { meta } = JSON.parse(event.data) as { meta?: { key?: string } }
      if (meta?.key !== undefined) keys.set(event.entityId, meta.key)
    }
    if (type === JOB_EVENTS.started) start(event)
    if (type === JOB_EVENTS.takenOver) {
      seen.takenOver++
      takeOver(event)
    }
    if (type === JOB_EVENTS.attemptFailed || ENDS.includes(type)) end(event)
    if (type === JOB_EVENTS.attemptFailed || type === JOB_EVENTS.succeeded) {
      const { attempt, counted } = JSON.parse(event.data) as { attempt: number; counted?: false }
      if (counted !== false) job.settled.push(attempt)
    }
    if (ENDS.includes(type)) {
      job.ends.push(type)
      keys.delete(event.entityId)
    }
  }
  return (event) => {
    seen.facts.get(event.partition)?.push(idFromPosition('evt', event.position, event.partition))
    if (event.kind === 'job') onJob(event)
    if (event.kind === 'schedule' && event.type === SCHEDULE_EVENTS.fired) {
      const times = seen.fired.get(event.queue) ?? []
      seen.fired.set(event.queue, times)
      times.push((JSON.parse(event.data) as { scheduledAt: string }).scheduledAt)
    }
  }
}
