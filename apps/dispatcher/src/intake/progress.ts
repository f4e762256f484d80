import { JOB_EVENTS, type JobProgress, ProblemError, parseId } from '@millrace/contracts'
import { emit, findJob, type Partition, type Partitions, splitAddress } from '@millrace/streams'

/** A worker that reports every per cent of a fast job must not fill the log: of what comes within this time the last counts. */
const COALESCE_MS = 250

export interface ProgressLog {
  /** The first report of a job goes into the log at once, the last of those that follow within a moment after it. */
  report(id: string, progress: JobProgress): Promise<void>
  /** Write what still waits; for a process that stops. */
  flush(): Promise<void>
}

interface Reporting {
  readonly partition: Partition
  readonly address: string
  readonly timer: NodeJS.Timeout
  /** Reported since the last one that went into the log. */
  latest: JobProgress | undefined
}

export interface ProgressDeps {
  readonly partitions: Partitions
  onError(error: unknown): void
}

export function createProgressLog({ partitions, onError }: ProgressDeps): ProgressLog {
  const reporting = new Map<string, Reporting>()

  const open = async (id: string, place: { partition: Partition; address: string }, progress: JobProgress) => {
    const timer = setTimeout(() => void flushOne(id).catch(onError), COALESCE_MS)
    reporting.set(id, { ...place, timer, latest: undefined })
    await write(place, id, progress)
  }
  const flushOne = async (id: string) => {
    const job = reporting.get(id)
    reporting.delete(id)
    clearTimeout(job?.timer)
    if (job?.latest) await open(id, job, job.latest)
  }

  return {
    async report(id, progress) {
      const known = reporting.get(id)
      if (known) known.latest = progress
      else await open(id, await placeOf(partitions, id), progress)
    },
    async flush() {
      await Promise.all([...reporting.keys()].map(flushOne))
      for (const { timer } of reporting.values()) clearTimeout(timer)
    },
  }
}

async function write(
  { partition, address }: { partition: Partition; address: string },
  id: string,
  progress: JobProgress,
): Promise<void> {
  const { namespace, queue } = splitAddress(address)
  const fact = { kind: 'job', type: JOB_EVENTS.progress, namespace, queue, entityId: id } as const
  await emit(partition, [{ ...fact, data: JSON.stringify(progress) }])
}

async function placeOf(partitions: Partitions, id: string): Promise<{ partition: Partition; address: string }> {
  const parts = parseId(id)
  const partition = parts?.prefix === 'job' ? partitions.byNumber(parts.partition) : undefined
  const place = partition && (await findJob(partition, id))
  if (!partition || !place)
    throw new ProblemError('job.unknown', `${id} is no job that is waiting, scheduled or running.`)
  return { partition, address: place.address }
}
