import type { Redis } from 'ioredis'
import type { Partition } from './partition.ts'

export interface WakeUpHandlers {
  /** A queue that had been idle has a job. */
  onQueue(address: string): void
  /** A job is due earlier than any that waited. */
  onDue(): void
  /** A dispatcher left; it may have left jobs behind. */
  onLeft(): void
  /** A running job was cancelled: end its request. */
  onCancel(jobId: string): void
  /** The subscription was (re)made: messages may have been missed, so look at everything once. */
  onReset(): void
}

/** Listen to a partition's wake-ups; call the answer to stop. They only spare waiting: whoever misses one finds the work in the next sweep. */
export async function listenToWakeUps(
  subscriber: Redis,
  partition: Partition,
  handlers: WakeUpHandlers,
): Promise<() => void> {
  const channel = partition.keys.wake
  const onMessage = (from: string, message: string) => {
    if (from !== channel) return
    if (message === '@due') handlers.onDue()
    else if (message === '@left') handlers.onLeft()
    else if (message.startsWith('@cancel ')) handlers.onCancel(message.slice('@cancel '.length))
    else handlers.onQueue(message)
  }
  const onReady = () => handlers.onReset()
  subscriber.on('message', onMessage)
  subscriber.on('ready', onReady)
  await subscriber.subscribe(channel)
  return () => {
    subscriber.off('message', onMessage)
    subscriber.off('ready', onReady)
    // Not awaited: while Redis is away this waits for its return, and stopping must not.
    subscriber.unsubscribe(channel).catch(() => undefined)
  }
}
