/**
 * What is said on the wire: schemas, ids and error codes, shared by every app and package. No I/O.
 *
 * ```ts
 * import { enqueueRequestSchema } from '@millrace/contracts'
 * const request = enqueueRequestSchema.parse({ namespace: 'shop', queue: 'send-mail', data: { orderId: 7 } })
 * ```
 */

export {
  formatGrant,
  type Grant,
  type IssuedKey,
  issuedKeySchema,
  type Key,
  type KeyRequest,
  keyRequestSchema,
  keyRevocationSchema,
  keyRotationSchema,
  keySchema,
  parseGrant,
  ROLES,
  type Role,
} from './access.ts'
export { ACCESS, type AppName, METRICS_READERS, type NamespaceOf, type RouteAccess } from './access-table.ts'
export {
  type AuditEvent,
  auditEventSchema,
  type ChainVerdict,
  chainVerdictSchema,
  type EmitRequest,
  type EventQuery,
  emitRequestSchema,
  emitResponseSchema,
  eventCountQuerySchema,
  eventQuerySchema,
  exportQuerySchema,
  FINAL_JOB_STATES,
  JOB_STATES,
  type JobState,
  type JobView,
  jobViewSchema,
} from './audit-api.ts'
export { bySchema, destructiveBySchema } from './by.ts'
export {
  ATTRIBUTE_NAME,
  ATTRIBUTE_NAMES,
  CLOUD_EVENT_BATCH_TYPE,
  CLOUD_EVENT_TYPE,
  type CloudEvent,
  cloudEventSchema,
  MAX_BATCH_EVENTS,
  type PublishRequest,
  publishRequestSchema,
} from './cloud-event.ts'
export {
  type DeadLetter,
  type DiscardRequest,
  deadLetterQuerySchema,
  deadLetterSchema,
  discardRequestSchema,
  type LetterFilter,
  type LetterGroup,
  letterFilterSchema,
  letterGroupSchema,
  REDRIVE_STATES,
  type Redrive,
  type RedriveRequest,
  redriveRequestSchema,
  redriveSchema,
} from './dead-letters-api.ts'
export {
  BACKFILL_EVENTS,
  ENDPOINT_EVENTS,
  EVENT_KINDS,
  type EventKind,
  GAS_EVENTS,
  isPlatformEvent,
  JOB_EVENTS,
  KEY_EVENTS,
  type LogEvent,
  PLATFORM_EVENT_TYPES,
  QUEUE_EVENTS,
  REDRIVE_EVENTS,
  SCHEDULE_EVENTS,
  SECRET_EVENTS,
  SERVICE_EVENTS,
  SUBSCRIPTION_EVENTS,
  TRAIL_EVENTS,
} from './events.ts'
export { type HistoryPage, historyPageSchema, historyQuerySchema, pastEventSchema } from './history-api.ts'
export {
  comparePositions,
  formatId,
  type IdParts,
  idFromPosition,
  idTimeMs,
  MAX_PARTITIONS,
  type Position,
  parseId,
  parsePosition,
  partitionLabel,
  REGISTRY_PARTITION,
} from './ids.ts'
export {
  batchRequestSchema,
  cancelRequestSchema,
  DURABILITIES,
  type Durability,
  drainRequestSchema,
  durabilityFields,
  type EnqueueRequest,
  enqueueRequestSchema,
  enqueueResponseSchema,
  FAILURE_REASONS,
  type FailureReason,
  idempotencyKeySchema,
  type JobProgress,
  jobTokenSchema,
  LANES,
  type Lane,
  type LastResponse,
  lastResponseSchema,
  MAX_BATCH_JOBS,
  MAX_DELAY_MS,
  pausedSchema,
  pauseRequestSchema,
  progressRequestSchema,
  progressSchema,
  purgeRequestSchema,
  type QueueCounts,
  queueCountsSchema,
  rescheduleRequestSchema,
  type StatedDurability,
  timeSchema,
  UNIQUE_MODES,
  type UniqueMode,
  uniqueSchema,
} from './jobs-api.ts'
export { endOfString, nestsDeeperThan } from './json-depth.ts'
export { DELIVERY_LIMITS, type Limit, REQUEST_LIMITS, STORE_LIMITS } from './limits.ts'
export { AUDIT_METRICS } from './metrics/audit.ts'
export { BUCKETS } from './metrics/buckets.ts'
export { DISPATCHER_METRICS, METRICS, METRICS_OF_APPS, type MetricsApp } from './metrics/catalogue.ts'
export {
  type LabelsOf,
  labelNamesOf,
  type MetricDefinition,
  type MetricDefinitions,
  OPEN_LABELS,
  type OpenLabel,
  OTHER,
  type Rest,
  SUBJECTS,
  type Subject,
  type SubjectLabels,
  wordsOf,
} from './metrics/definition.ts'
export { JOB_METRICS } from './metrics/jobs.ts'
export { PROCESS_METRICS } from './metrics/processes.ts'
export { QUEUE_METRICS } from './metrics/queues.ts'
export { SCHEDULE_METRICS } from './metrics/schedules.ts'
export { SUBSCRIPTION_METRICS } from './metrics/subscriptions.ts'
export {
  nameSchema,
  namespaceSchema,
  parseQueueAddress,
  QUEUE_KINDS,
  type QueueKind,
  queueAddress,
  recordedNamespaceSchema,
  TRAIL_NAMESPACE,
} from './names.ts'
export { nextPageSchema, type PageRequest, wholePageSchema } from './pages.ts'
export {
  type FieldError,
  fieldErrors,
  PROBLEMS,
  type Problem,
  type ProblemCode,
  ProblemError,
  problemSchema,
  toPointer,
} from './problem.ts'
export { type HostAndPort, REDIS_URL_FORMS, type RedisAddress, readRedisUrl } from './redis-url.ts'
export {
  CATCH_UP_TAKES,
  type CatchUp,
  catchUpSchema,
  DST_PRESETS,
  type Dst,
  type DstPolicy,
  type DstPreset,
  dstPolicySchema,
  dstSchema,
  RUN_OVERLAPS,
  type RunOverlap,
  type ScheduleDefinition,
  scheduleDefinitionSchema,
  windowMs,
} from './schedule-fields.ts'
export {
  type Backfill,
  type BackfillRequest,
  backfillRequestSchema,
  backfillSchema,
  LEDGER_REASONS,
  LEDGER_STATES,
  type LedgerEntry,
  ledgerEntrySchema,
  ledgerQuerySchema,
  ON_TIME_MS,
  previewRequestSchema,
  previewSchema,
  type ScheduleView,
  schedulePauseSchema,
  scheduleViewSchema,
  triggerRequestSchema,
} from './schedules-api.ts'
export {
  type Backoff,
  type BatchSettings,
  backoffSchema,
  batchSchema,
  endpointSchema,
  type ManifestQueue,
  type ManifestSchedule,
  type ManifestSubscription,
  manifestQueueSchema,
  manifestScheduleSchema,
  manifestSubscriptionSchema,
  type OnStatus,
  onStatusSchema,
  type QueueDefinition,
  queueDefinitionSchema,
  type RateLimit,
  rateLimitSchema,
  SCHEDULE_CONCURRENCY,
  type Service,
  STATUS_ACTIONS,
  type StatusAction,
  serviceSchema,
} from './service.ts'
export {
  type ApplyRequest,
  type ApplyResponse,
  applyRequestSchema,
  applyResponseSchema,
  type ManifestIssue,
  manifestWarningSchema,
} from './services-api.ts'
export {
  type IssuedSecret,
  issuedSecretSchema,
  resealedSchema,
  resealSchema,
  SECRET_KINDS,
  type SecretKind,
  type SigningSecret,
  secretRevocationSchema,
  secretRotationSchema,
  signingSecretSchema,
} from './signing-secrets.ts'
export {
  type DeclaredEvent,
  declaredEventSchema,
  parseSubscriptionId,
  type SubscriptionSource,
  startFromSchema,
  subscriptionFields,
  subscriptionId,
  subscriptionSourceSchema,
  typePatternSchema,
} from './subscription.ts'
export {
  moveRequestSchema,
  REPLAY_STATES,
  type Replay,
  type ReplayRequest,
  replayRequestSchema,
  replaySchema,
  type SubscriptionRequest,
  type SubscriptionView,
  subscriptionEndSchema,
  subscriptionRequestSchema,
  subscriptionViewSchema,
  tryRequestSchema,
} from './subscriptions-api.ts'
export {
  type EraseRequest,
  type EraseResult,
  eraseRequestSchema,
  eraseResultSchema,
  fieldSchema,
  type Hold,
  type HoldRequest,
  holdRequestSchema,
  holdSchema,
  releaseRequestSchema,
} from './trail-api.ts'
