import { ProblemError, parseId } from '@millrace/contracts'
import type { JobHome } from '@millrace/delivery'
import { findJob, type Partitions } from '@millrace/streams'

/** The partition and queue of a job that runs: only then is there progress to tell of. */
export async function homeOf(partitions: Partitions, id: string): Promise<JobHome> {
  const parts = parseId(id)
  const partition = parts?.prefix === 'job' ? partitions.byNumber(parts.partition) : undefined
  const place = partition && (await findJob(partition, id))
  if (!partition || !place)
    throw new ProblemError('job.unknown', `${id} is no job that runs: it is at its end, or never was.`)
  if (place.state !== 'running') {
    const state = place.state === 'dead' ? 'a dead letter' : place.state
    throw new ProblemError('job.not_held', `${id} does not run, it is ${state}: whoever worked on it must stop.`)
  }
  return { partition, address: place.address }
}
