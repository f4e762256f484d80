import { type Partition, trimLog } from '@millrace/streams'

/** MILLRACE_LOG_KEEP where nobody sets it: what a platform keeps of the log after it was recorded. */
export const LOG_KEEP = 10_000

const GROUP = 'audit'

/** Mark the whole log as recorded and trim it, as the audit app does when it has caught up. */
export async function recordAll(partition: Partition): Promise<void> {
  const { redis, keys } = partition
  await redis.xgroup('CREATE', keys.log, GROUP, '0', 'MKSTREAM').catch((error: Error) => {
    if (!error.message.startsWith('BUSYGROUP')) throw error
  })
  await redis.xgroup('SETID', keys.log, GROUP, '$')
  // The script drops so many entries a call at most; 0 says that there is nothing left to drop.
  while ((await trimLog(partition, { keep: LOG_KEEP })) > 0);
}
