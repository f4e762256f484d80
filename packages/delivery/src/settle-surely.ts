import { isConnectionError, type Partition, type SettleCall, type Settled, settle } from '@millrace/streams'
import type { DeliveryLog } from './attempt.ts'
import type { Consumer } from './consumer.ts'

/** The pause before a settle is tried again while Redis is away. */
const RETRY_MS = 200

interface SureSettle extends Pick<SettleCall, 'address' | 'attempts'> {
  readonly consumer: Consumer
  readonly logger: DeliveryLog
  /** How many jobs are prefetched now: asked anew each time, since a claim may have been answered meanwhile. */
  say(again: boolean): number | undefined
}

/**
 * Settle, again and again until Redis has answered; undefined when the consumer's term ended before it did. It is asked once
 * even when the lease is lost by now: that is refused, and the log has it as late.
 */
export async function settleSurely(
  partition: Partition,
  { consumer, logger, say, ...call }: SureSettle,
): Promise<Settled[] | undefined> {
  let again = false
  do {
    try {
      return await settle(partition, { ...call, consumer: consumer.name, again, prefetched: say(again) })
    } catch (error) {
      if (!isConnectionError(error))
        logger.error({ event: 'settle.failed', queue: call.address, err: error }, 'settle failed')
      again = true
      await new Promise((resolve) => setTimeout(resolve, RETRY_MS))
    }
  } while (!consumer.lost.aborted)
  return undefined
}
