import type { JobFacts } from './witness.ts'

/** Everything that a run is judged by, gathered when it has come to rest. */
export interface Evidence {
  readonly balances: readonly Balance[]
  /** Jobs that producers were told of, with their queue. */
  readonly accepted: ReadonlyMap<string, string>
  readonly jobs: ReadonlyMap<string, JobFacts>
  /** Jobs that the service has answered with success. */
  readonly answered: ReadonlySet<string>
  readonly events: ReadonlySet<string>
  readonly eventJobs: ReadonlyMap<string, ReadonlySet<string>>
  /** How many may run and the most that did, by queue, or by queue and key. */
  readonly running: readonly { readonly place: string; readonly limit: number; readonly most: number }[]
  readonly schedules: readonly ScheduleEvidence[]
  /** Ids of facts in the log and of records in the trail, both in order, by partition. */
  readonly trails: readonly {
    readonly partition: number
    readonly facts: readonly string[]
    readonly records: readonly string[]
  }[]
  readonly verdict: { readonly valid: boolean; readonly broken: readonly unknown[] }
  readonly pending: readonly { readonly queue: string; readonly entry: string; readonly owner: string }[]
  /** Who may hold pending entries: consumers whose lease holds. */
  readonly owners: ReadonlySet<string>
  /** Answers that no fault explains, processes that ended by themselves, faults that were not noticed in time. */
  readonly surprises: readonly string[]
}

export interface Balance {
  readonly queue: string
  readonly accepted: number
  readonly succeeded: number
  readonly dead: number
  readonly cancelled: number
  readonly expired: number
  readonly waiting: number
  readonly scheduled: number
  readonly running: number
  readonly imbalance: number
}

export interface ScheduleEvidence {
  readonly name: string
  /** Nominal times that fired, as the log has them. */
  readonly fired: readonly string[]
  readonly ledger: readonly { readonly at: string; readonly state: string; readonly jobId?: string | undefined }[]
  readonly intervalMs: number
}

/** What must hold after every run, each with what is said against it. */
export const CHECKS = {
  'conservation holds in every queue': conservation,
  'no accepted job or event is lost': nothingLost,
  'no attempt is settled twice': settledOnce,
  'in flight never over the limit': withinLimits,
  'each nominal time once in the ledger': timesOnce,
  'one audit record per fact': oneRecordPerFact,
  'the chain verifies': chainVerifies,
  'nothing in hand without an owner': pendingOwned,
  'nothing that no fault explains': ({ surprises }) => surprises,
} as const satisfies Record<string, (evidence: Evidence) => readonly string[]>
export type CheckName = keyof typeof CHECKS
export const CHECK_NAMES = Object.keys(CHECKS) as CheckName[]

/** What is said against each check; nothing where it holds. */
export function judge(evidence: Evidence): Map<CheckName, readonly string[]> {
  return new Map(CHECK_NAMES.map((name) => [name, CHECKS[name](evidence)]))
}

function conservation({ balances, jobs }: Evidence): string[] {
  return balances.flatMap((balance) => {
    const { queue, imbalance, waiting, scheduled, running } = balance
    const faults: string[] = []
    if (imbalance !== 0) faults.push(`${queue} is out of balance by ${imbalance}: ${JSON.stringify(balance)}`)
    if (waiting + scheduled + running > 0) faults.push(`${queue} has not come to rest: ${JSON.stringify(balance)}`)
    const mine = [...jobs.values()].filter((job) => job.queue === queue)
    if (mine.length !== balance.accepted)
      faults.push(`${queue} counts ${balance.accepted} jobs, its log has ${mine.length}`)
    return faults
  })
}

function nothingLost({ accepted, jobs, answered, events, eventJobs }: Evidence): string[] {
  const lost = [...accepted].flatMap(([id, queue]) => {
    const facts = jobs.get(id)
    if (!facts || facts.enqueued === 0) return [`${id} of ${queue} was accepted and is not in the log`]
    return facts.ends.length === 0 ? [`${id} of ${queue} was accepted and has no end`] : []
  })
  const unsent = [...jobs].flatMap(([id, { ends, queue }]) =>
    ends.includes('job.succeeded') && !answered.has(id)
      ? [`${id} of ${queue} is called done and was never answered`]
      : [],
  )
  const strayed = [...events].flatMap((id) => {
    const count = eventJobs.get(id)?.size ?? 0
    return count === 1 ? [] : [`${id} was accepted and came to its subscription as ${count} jobs`]
  })
  return [...lost, ...unsent, ...strayed]
}

function settledOnce({ jobs }: Evidence): string[] {
  return [...jobs].flatMap(([id, { settled, ends, enqueued }]) => {
    const faults: string[] = []
    if (new Set(settled).size !== settled.length) faults.push(`${id} settled its attempts ${settled.join(', ')}`)
    if (ends.length > 1) faults.push(`${id} ended ${ends.length} times: ${ends.join(', ')}`)
    if (enqueued > 1) faults.push(`${id} was enqueued ${enqueued} times`)
    return faults
  })
}

function withinLimits({ running }: Evidence): string[] {
  return running.flatMap(({ place, limit, most }) =>
    most > limit ? [`${place} ran ${most} jobs at once, its limit is ${limit}`] : [],
  )
}

function timesOnce({ schedules, jobs }: Evidence): string[] {
  return schedules.flatMap(({ name, fired, ledger, intervalMs }) => {
    const faults = [
      ...gapsAndDoubles(fired, intervalMs),
      ...gapsAndDoubles(
        ledger.map(({ at }) => at),
        intervalMs,
      ),
    ]
    for (const { at, state, jobId } of ledger) {
      if (state !== 'fired' && state !== 'late') faults.push(`${at} is ${state}`)
      else if (jobId === undefined || !jobs.has(jobId)) faults.push(`${at} fired without a job`)
    }
    const jobIds = ledger.map(({ jobId }) => jobId)
    if (new Set(jobIds).size !== jobIds.length) faults.push('two nominal times share a job')
    if (fired.length === 0) faults.push('never fired')
    return faults.map((fault) => `schedule ${name}: ${fault}`)
  })
}

/** A schedule that fires at a steady interval: each time once, from the first to the last. */
function gapsAndDoubles(times: readonly string[], intervalMs: number): string[] {
  const sorted = times.map((time) => Date.parse(time)).toSorted((a, b) => a - b)
  return sorted.slice(1).flatMap((time, index) => {
    const apart = time - (sorted[index] as number)
    if (apart === intervalMs) return []
    const at = new Date(time).toISOString()
    return [apart === 0 ? `${at} is there twice` : `${apart / intervalMs - 1} times are missing before ${at}`]
  })
}

function oneRecordPerFact({ trails }: Evidence): string[] {
  return trails.flatMap(({ partition, facts, records }) => {
    const at = facts.findIndex((id, index) => records[index] !== id)
    if (at < 0 && facts.length === records.length) return []
    const where = at < 0 ? facts.length : at
    return [
      `partition ${partition} has ${facts.length} facts and ${records.length} records; number ${where} is ${facts[where]} in the log and ${records[where]} in the trail`,
    ]
  })
}

function chainVerifies({ verdict }: Evidence): string[] {
  return verdict.valid ? [] : [`the trail is not valid: ${JSON.stringify(verdict.broken.slice(0, 3))}`]
}

function pendingOwned({ pending, owners }: Evidence): string[] {
  return pending.flatMap(({ queue, entry, owner }) =>
    owners.has(owner) ? [] : [`${entry} of ${queue} is in hand of ${owner}, who holds no lease`],
  )
}
