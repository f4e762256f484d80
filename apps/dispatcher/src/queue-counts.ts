import { type QueueCounts, type QueueDefinition, queueAddress } from '@millrace/contracts'
import {
  type Counts,
  fullAddress,
  type Partition,
  type Partitions,
  type RegisteredQueue,
  readCounts,
} from '@millrace/streams'

export interface LiveQueue {
  readonly labels: { readonly namespace: string; readonly queue: string }
  readonly definition: QueueDefinition
  readonly closing: boolean
  readonly counts: Counts
}

/** Live counts of queues in the order that they were asked for, one script call per partition. */
export async function readLiveQueues(partitions: Partitions, queues: readonly RegisteredQueue[]): Promise<LiveQueue[]> {
  const byPartition = new Map<Partition, { queue: RegisteredQueue; address: string }[]>()
  for (const queue of queues) {
    const address = addressOf(queue)
    const partition = partitions.of(address)
    byPartition.set(partition, [...(byPartition.get(partition) ?? []), { queue, address }])
  }
  const parts = [...byPartition].map(async ([partition, members]) => {
    const counts = await readCounts(
      partition,
      members.map(({ address }) => address),
    )
    return members.map(({ queue }, index) => [queue, toLiveQueue(queue, counts[index] as Counts)] as const)
  })
  const live = new Map((await Promise.all(parts)).flat())
  return queues.map((queue) => live.get(queue) as LiveQueue)
}

export function addressOf({ service, definition }: RegisteredQueue): string {
  return fullAddress(service.namespace, queueAddress(definition.kind, definition.name))
}

/** As metrics and answers name a queue. */
export function labelsOf({ service, definition }: RegisteredQueue): LiveQueue['labels'] {
  return { namespace: service.namespace, queue: queueAddress(definition.kind, definition.name) }
}

function toLiveQueue(queue: RegisteredQueue, counts: Counts): LiveQueue {
  const { definition, closing } = queue
  return { labels: labelsOf(queue), definition, closing, counts }
}

/** As `GET /queues` says it. */
export function toQueueCounts({ labels, definition, closing, counts }: LiveQueue): QueueCounts {
  const { oldestWaitingMs, ...numbers } = counts
  return {
    ...labels,
    kind: definition.kind,
    ...numbers,
    ...(oldestWaitingMs !== undefined && { oldestWaitingAt: new Date(oldestWaitingMs).toISOString() }),
    concurrency: definition.concurrency,
    closing,
  }
}
