import { ProblemError, parseId } from '@millrace/contracts'
import type { JobHome } from '@millrace/delivery'
import { findJob, type Partitions } from '@millrace/streams'

/** The partition and queue of a job that is not at its end. */
export async function homeOf(partitions: Partitions, id: string): Promise<JobHome> {
  const parts = parseId(id)
  const partition = parts?.prefix === 'job' ? partitions.byNumber(parts.partition) : undefined
  const place = partition && (await findJob(partition, id))
  if (!partition || !place)
    throw new ProblemError('job.unknown', `${id} is no job that is waiting, scheduled or running.`)
  return { partition, address: place.address }
}
