import { JOB_EVENTS, type JobProgress } from '@millrace/contracts'
import { emit, type Partition, splitAddress } from '@millrace/streams'

/** A worker that reports every per cent of a fast job must not fill the log: of what comes within this time the last counts. */
const COALESCE_MS = 250

export interface ProgressLog {
  /** The first report of a job goes into the log at once, the last of those that follow within a moment after it. */
  report(id: string, progress: JobProgress): Promise<void>
  /** Write what still waits; for a process that stops. */
  flush(): Promise<void>
}

/** Where a job's events belong. */
export interface JobHome {
  readonly partition: Partition
  readonly address: string
}

interface Reporting {
  readonly home: Promise<JobHome>
  readonly timer: NodeJS.Timeout
  /** Reported since the last one that went into the log. */
  latest: JobProgress | undefined
}

export interface ProgressDeps {
  /** Finds the queue of a job of which nothing was reported yet; rejects when there is no such job. */
  homeOf(id: string): Promise<JobHome>
  onError(error: unknown): void
}

export function createProgressLog({ homeOf, onError }: ProgressDeps): ProgressLog {
  const reporting = new Map<string, Reporting>()

  const open = async (id: string, home: Promise<JobHome>, progress: JobProgress) => {
    const timer = setTimeout(() => void flushOne(id).catch(onError), COALESCE_MS)
    // Before anything is waited for, so that what is said in the same moment finds it.
    reporting.set(id, { home, timer, latest: undefined })
    try {
      await home
    } catch (error) {
      clearTimeout(timer)
      reporting.delete(id)
      throw error
    }
    await write(await home, id, progress)
  }
  const flushOne = async (id: string) => {
    const job = reporting.get(id)
    reporting.delete(id)
    clearTimeout(job?.timer)
    if (job?.latest) await open(id, job.home, job.latest)
  }

  return {
    async report(id, progress) {
      const known = reporting.get(id)
      if (known) known.latest = progress
      else await open(id, homeOf(id), progress)
    },
    async flush() {
      await Promise.all([...reporting.keys()].map(flushOne))
      for (const { timer } of reporting.values()) clearTimeout(timer)
    },
  }
}

async function write({ partition, address }: JobHome, id: string, progress: JobProgress): Promise<void> {
  const { namespace, queue } = splitAddress(address)
  const fact = { kind: 'job', type: JOB_EVENTS.progress, namespace, queue, entityId: id } as const
  await emit(partition, [{ ...fact, data: JSON.stringify(progress) }])
}
