import { JOB_EVENTS, type LogEvent } from '@millrace/contracts'
import { readFact } from '@millrace/engine'
import type { Partitions } from '@millrace/streams'
import { asJson, withRaw } from '../api/json-text.ts'
import { isFinal } from '../queries/jobs.ts'
import { evolveJob } from '../read-models/job.ts'
import type { FeedKey, FeedListener, LogFeed } from './log-feed.ts'
import { Outbox, type ProgressMessage } from './outbox.ts'

/** Jobs that one stream tells of at a time; of more than these the one heard of first is forgotten. */
const MAX_JOBS = 1000

/**
 * The reports of a process or for a user from now on, and how the jobs end that have reported. Nothing is looked up:
 * what a group has reported before is in no index.
 */
export async function openGroupProgress(
  { partitions, feed }: { partitions: Partitions; feed: LogFeed },
  key: FeedKey,
): Promise<{ following(signal: AbortSignal): AsyncGenerator<ProgressMessage>; close(): void }> {
  const outbox = new Outbox(2 * MAX_JOBS)
  const broken = new AbortController()
  const leaving: (() => void)[] = []
  // Jobs that have reported, and how to stop hearing of each.
  const jobs = new Map<string, () => void>()
  const onBroken = () => broken.abort()

  const forget = (id: string) => {
    jobs.get(id)?.()
    jobs.delete(id)
  }
  const onJobEvent = (event: LogEvent) => {
    const job = event.type === JOB_EVENTS.progress ? undefined : evolveJob(undefined, { event, fact: readFact(event) })
    if (!job || !isFinal(job)) return
    const { id, queue, state } = job
    outbox.put(`end ${id}`, { kind: 'end', data: JSON.stringify({ id, queue, state }) })
    forget(id)
  }

  const listen = async (partition: Partitions['all'][number]) => {
    const onEvent: FeedListener['onEvent'] = (event, also) => {
      const { entityId: id, queue } = event
      outbox.put(`progress ${id}`, { kind: 'progress', data: withRaw({ id, queue }, 'progress', asJson(event.data)) })
      if (jobs.has(id)) return
      jobs.set(id, also({ key: `job:${id}`, onEvent: onJobEvent, onBroken }))
      if (jobs.size > MAX_JOBS) forget(jobs.keys().next().value as string)
    }
    leaving.push((await feed.listen(partition, { key, onEvent, onBroken })).leave)
  }
  const close = () => {
    for (const id of [...jobs.keys()]) forget(id)
    for (const leave of leaving) leave()
  }
  try {
    await Promise.all(partitions.all.map(listen))
  } catch (error) {
    close()
    throw error
  }
  return {
    following: (signal) => outbox.messages(signal, broken.signal),
    close,
  }
}
