/**
 * Everything Redis: the keys, the scripts, the log.
 *
 * ```ts
 * const redis = connect({ url: 'redis://127.0.0.1:6379', role: 'demo' })
 * await whenReady(redis, { timeoutMs: 5000 })
 * const partition = createPartitions(redis, 1).of('shop/send-mail')
 * await openQueues(partition, ['shop/send-mail'])
 * const [job] = await enqueue(partition, [{ address: 'shop/send-mail', lane: 'normal', data: '{"orderId":7}' }])
 * ```
 */
export { readBackfill, readBackfills, runningBackfills } from './backfills.ts'
export { readOpenCircuits } from './circuits.ts'
export { clusterServers, type NamedServer } from './cluster/nodes.ts'
export {
  type ConnectionLog,
  type ConnectionOptions,
  connect,
  connectBlocking,
  connectSubscriber,
  isConnectionError,
  isOutOfMemory,
  RedisUnreachableError,
  whenReady,
} from './connection.ts'
export { type Connections, openConnections } from './connections.ts'
export { readPullConsumers } from './consumers.ts'
export {
  type DeadLetterPage,
  findDeadLetters,
  type LetterRange,
  listDeadLetters,
  newestDeadLetter,
  type StoredLetter,
} from './dead-letters.ts'
export { type DurabilityView, readDurability, watchDurability } from './durability.ts'
export { KEY_CATALOGUE, type KeyDescription } from './key-catalogue.ts'
export { fullAddress, REGISTRY_KEYS, splitAddress } from './keys.ts'
export { type LedgerRow, type NamedRow, readLastSuccesses, readLedger, readRows } from './ledger.ts'
export {
  createLogReader,
  LOG_READERS,
  type LogPosition,
  type LogReader,
  readLogBackwards,
  readLogRange,
} from './log-reader.ts'
export {
  type ConnectionOf,
  createPartition,
  createPartitions,
  inOneWrite,
  type Partition,
  type Partitions,
  registryPartition,
} from './partition.ts'
export { joinPlatform, type OpenRedis, openRedis, type Platform, type RedisOptions } from './platform.ts'
export { MAX_TYPES, REMEMBER_TYPES_MS, readTypes, rememberType } from './published-types.ts'
export {
  changeService,
  declaredQueues,
  type FollowOptions,
  followRegistry,
  queuesOf,
  type RegisteredQueue,
  type RegistryView,
  readService,
  type ServiceChange,
} from './registry.ts'
export { NotReplicatedError } from './replicas.ts'
export { restlessQueues } from './restless-queues.ts'
export {
  type Behind,
  type LogStart,
  logEnd,
  logEnds,
  logSpan,
  logStart,
  openCursor,
  type RoutedPosition,
  readBehind,
  readRouted,
} from './routing.ts'
export {
  advanceRedrive,
  type RedriveAdvance,
  type RedriveAdvanced,
  readRedrive,
  readRedrives,
  runningRedrives,
} from './scripts/advance_redrive.ts'
export { advanceReplay, type ReplayAdvance, readReplay, readReplays, runningReplays } from './scripts/advance_replay.ts'
export { LAYOUT_VERSION } from './scripts/boot.ts'
export { type By, type Cancelled, cancel } from './scripts/cancel.ts'
export { type Claim, type ClaimedJob, claim } from './scripts/claim.ts'
export { closeQueue } from './scripts/close_queue.ts'
export { type Counted, countLogged } from './scripts/count_logged.ts'
export { type Counts, imbalance, readCounts } from './scripts/counts.ts'
export { discard } from './scripts/discard.ts'
export { type DueTick, type DueTicks, dueTicks } from './scripts/due_ticks.ts'
export { type Emitted, emit, type Fact } from './scripts/emit.ts'
export { type Enqueued, enqueue, type JobMeta, type NewJob, type Unique } from './scripts/enqueue.ts'
export { type FannedOut, type FanOut, fanOut, type RoutedEvent } from './scripts/fan_out.ts'
export { fileRows } from './scripts/file_rows.ts'
export { findJob, type JobPlace, type Paused, type SlotHolder } from './scripts/find_job.ts'
export { type Held, hold } from './scripts/hold.ts'
export { type LeaseReply, lease } from './scripts/lease.ts'
export { moveDue } from './scripts/move_due.ts'
export { moveSubscription } from './scripts/move_subscription.ts'
export { type BreakerNote, noteBreaker } from './scripts/note_breaker.ts'
export { type Limits, limitsOf, openQueues, type QueueToOpen, type Rate } from './scripts/open_queue.ts'
export { pause } from './scripts/pause.ts'
export { pauseSchedule, readSchedulePauses } from './scripts/pause_schedule.ts'
export {
  type Plan,
  type Planned,
  plan,
  planText,
  readPlans,
  removePlan,
  type StoredPlan,
  type TimesDue,
} from './scripts/plan.ts'
export { PURGE_TOKEN_MS, purge, requestPurge } from './scripts/purge.ts'
export { type KeyChange, putKey, readKey, readKeys } from './scripts/put_key.ts'
export { putSecrets, readAllSecrets, readSecrets, type SecretsChange } from './scripts/put_secrets.ts'
export { raise } from './scripts/raise.ts'
export { type LogPage, type LogRange, type PassOver, readLogPage } from './scripts/read_log.ts'
export { redrive } from './scripts/redrive.ts'
export { register } from './scripts/register.ts'
export { type Rescheduled, reschedule } from './scripts/reschedule.ts'
export { type LeasedPolicy, type SettleCall, type Settled, type Settlement, settle } from './scripts/settle.ts'
export { type LeasedJob, mayReport, readLeased, settleLeased, type WorkerWord } from './scripts/settle_leased.ts'
export { skipBehind } from './scripts/skip_behind.ts'
export { type SubscriptionStart, syncSubscriptions } from './scripts/sync_subscriptions.ts'
export { type TakeLogged, type Taken, takeLogged } from './scripts/take_logged.ts'
export { type EndedJob, MAX_TAKEOVERS, type TakenJob, takeOver } from './scripts/take_over.ts'
export {
  type BackfillAdvance,
  type Fired,
  MAX_WAITING_RUNS,
  type PreparedTick,
  prepareTick,
  sendTicks,
  type Tick,
  type Ticked,
  type TickFire,
  tick,
} from './scripts/tick.ts'
export { trimLog } from './scripts/trim.ts'
export { followSecrets, type SecretsFollower } from './secrets.ts'
export {
  checkServer,
  checkSettings,
  readLayout,
  readPartitionCount,
  type ServerFacts,
  UnfitServerError,
} from './server-check.ts'
export { whenServing } from './serving.ts'
export { newHolder, sharedLease } from './shared-lease.ts'
export { storeClock, storeTime } from './store-clock.ts'
export { logLength, readFullestMemory, readStoreMemory, type StoreMemory } from './store-figures.ts'
export { toStoreProblem } from './store-problem.ts'
export { listenToWakeUps, type WakeUpHandlers } from './wake-ups.ts'
