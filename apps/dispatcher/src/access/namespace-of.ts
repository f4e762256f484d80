import { parseId } from '@millrace/contracts'
import { findJob, type Partitions, splitAddress } from '@millrace/streams'
import { findRedrive } from '../dead-letters/redrive-store.ts'
import { findReplay } from '../events/replay-store.ts'

/** The namespace of a job, dead letter, redrive or replay; undefined when the id names nothing (any more). */
export async function namespaceOf(partitions: Partitions, id: string): Promise<string | undefined> {
  const parts = parseId(id)
  const partition = parts?.prefix === 'job' ? partitions.byNumber(parts.partition) : undefined
  const place = partition && (await findJob(partition, id))
  if (place) return splitAddress(place.address).namespace
  const redrive = await findRedrive(partitions, id)
  if (redrive) return redrive.state.filter.namespace
  const replay = await findReplay(partitions, id)
  return replay && splitAddress(replay.replay.address).namespace
}
