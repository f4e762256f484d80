/**
 * What is said on the wire: schemas, ids and error codes, shared by every app and package. No I/O.
 *
 * ```ts
 * import { enqueueRequestSchema } from '@millrace/contracts'
 * const request = enqueueRequestSchema.parse({ namespace: 'shop', queue: 'send-mail', data: { orderId: 7 } })
 * ```
 */
export {
  type AuditEvent,
  auditEventSchema,
  type ChainVerdict,
  chainVerdictSchema,
  type EmitRequest,
  type EventQuery,
  emitRequestSchema,
  emitResponseSchema,
  eventQuerySchema,
  FINAL_JOB_STATES,
  JOB_STATES,
  type JobState,
  type JobView,
  jobViewSchema,
} from './audit-api.ts'
export {
  EVENT_KINDS,
  type EventKind,
  JOB_EVENTS,
  type LogEvent,
  QUEUE_EVENTS,
  SCHEDULE_EVENTS,
  SERVICE_EVENTS,
} from './events.ts'
export {
  comparePositions,
  formatId,
  type IdParts,
  idFromPosition,
  MAX_PARTITIONS,
  type Position,
  parseId,
  parsePosition,
  REGISTRY_PARTITION,
} from './ids.ts'
export {
  batchRequestSchema,
  type DeadLetter,
  DURABILITIES,
  type Durability,
  deadLetterSchema,
  type EnqueueRequest,
  enqueueRequestSchema,
  enqueueResponseSchema,
  FAILURE_REASONS,
  type FailureReason,
  idempotencyKeySchema,
  LANES,
  type Lane,
  type LastResponse,
  lastResponseSchema,
  MAX_BATCH_JOBS,
  MAX_DELAY_MS,
  type QueueCounts,
  queueCountsSchema,
  type RedriveRequest,
  redriveRequestSchema,
  timeSchema,
} from './jobs-api.ts'
export { nameSchema, namespaceSchema, parseQueueAddress, QUEUE_KINDS, type QueueKind, queueAddress } from './names.ts'
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
export {
  type Backoff,
  backoffSchema,
  endpointSchema,
  type ManifestSchedule,
  manifestQueueSchema,
  manifestScheduleSchema,
  type QueueDefinition,
  queueDefinitionSchema,
  SCHEDULE_CONCURRENCY,
  type Service,
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
