/**
 * Decisions, pure: what follows from what, without Redis, HTTP or clocks.
 *
 * ```ts
 * const parsed = parseManifest(await readFile('catalog-info.yaml', 'utf8'))
 * if (parsed.kind === 'refused') for (const { line, pointer, detail } of parsed.mistakes) console.error(line, pointer, detail)
 * ```
 */
export {
  type ApplyDecision,
  type ApplyInput,
  decideApply,
  endedBy,
  withoutClosed,
  withoutSubscription,
  withSubscription,
} from './apply.ts'
export { type AsyncApiInput, buildAsyncApi } from './asyncapi/document.ts'
export {
  type AuditFact,
  type AuditRecord,
  type BuiltRecord,
  buildRecord,
  type ChainFinding,
  type ChainHead,
  type ChainKey,
  createChainVerifier,
  createExportVerifier,
  type EmittedFact,
  ERASED,
  type Erasure,
  type ErasureOf,
  type ExportedRecord,
  type ExportFault,
  type ExportFinding,
  type ExportLine,
  type ExportOpening,
  type Fault,
  GENESIS_HASH,
  hashData,
  hashRecord,
  isErased,
  LEVELS,
  type Level,
  PLATFORM_ACTOR,
  type Place,
  parseErasure,
  type RecordInput,
  readErasure,
  readFact,
  type StoredRecord,
  TRAIL_KIND,
  toErasure,
  VERDICTS,
  type Verdict,
  type VerifyOptions,
  verifyChain,
  wrapEmitted,
} from './audit.ts'
export { MAX_RETRY_AFTER_MS, parseRetryAfter, type RetryDelayInput, retryDelay } from './backoff.ts'
export { type BatchAnswer, type BatchJob, buildBatch, readBatchAnswer } from './batch.ts'
export { allowance, awaken, type Breaker, CLOSED, healthOf, observe } from './breaker.ts'
export {
  type AttemptResult,
  type ClassifyContext,
  classify,
  MAX_LEASE_SECONDS,
  MAX_RESULT_CHARACTERS,
  type Outcome,
  type RetryPolicy,
} from './classify.ts'
export { decodeEvents, type IncomingEvent } from './cloud-event/decode.ts'
export { bareMediaType, type EventRequest, parseJson, readText } from './cloud-event/event-body.ts'
export { eventIdOf, type LoggedEvent, orderKeyOf, toCloudEvent } from './cloud-event/logged-event.ts'
export {
  buildDelivery,
  type DeliveryInput,
  type DeliveryRequest,
  sampledTraceIdIn,
  traceIdIn,
  traceIdOf,
  traceOf,
  traceparentOf,
  validTraceparent,
} from './delivery.ts'
export { type CheckData, compileSchema, faultOfSchema } from './event-schema.ts'
export type { Attributes } from './filter/cesql/evaluate.ts'
export { type CompiledFilters, compileFilters, FILTER_DIALECTS, type Matches } from './filter/filters.ts'
export { fitsTypes, indexSubscriptions, type SubscriptionIndex, unaskedTypes } from './filter/subscription-index.ts'
export { type Fingerprint, fingerprintOf } from './fingerprint.ts'
export { type HandlerFailure, judgeFailure } from './handler-failure.ts'
export { type Declaration, type ManifestMistake, type ParsedManifest, parseManifest } from './manifest.ts'
export { allowedNow, nextAllowed, type Pace } from './pace.ts'
export { arrayElements, rawElements, rawMember } from './raw-json.ts'
export { type ReadSubscription, readSubscription } from './read-subscription.ts'
export {
  afterTaking,
  afterWatching,
  nextMove,
  type RedriveMove,
  type RedriveState,
  stopRedrive,
  type Taken,
  WATCH_MS,
} from './redrive.ts'
export {
  afterBackfilling,
  type BackfillMove,
  type BackfillState,
  nextBackfillMove,
  stopBackfill,
} from './schedule/backfill.ts'
export { checkTimezone } from './schedule/check-timezone.ts'
export { checkCron, cronText, parseDuration } from './schedule/cron-expression.ts'
export { runsInOrder } from './schedule/definition.ts'
export { describeRule } from './schedule/describe.ts'
export { DST_POLICIES } from './schedule/dst.ts'
export {
  DEFAULT_CATCH_UP,
  type DueRule,
  decideTick,
  type Firing,
  type PassedOver,
  type PlannedTime,
  planAfter,
  type TickDecision,
  timesLeft,
} from './schedule/due-tick.ts'
export { jitterOf } from './schedule/jitter.ts'
export {
  type CronRule,
  type NominalTime,
  nextNominalTime,
  nextTime,
  ruleOfText,
  ruleText,
  type SkippedGap,
  skippedGaps,
} from './schedule/nominal-times.ts'
export { type Preview, type PreviewTime, previewRule, previewSteps, wallText } from './schedule/preview.ts'
export { createSigningKey, type SignedContent, type SigningKey } from './signature.ts'
export {
  beforeTime,
  MATCHES_ALL,
  matcherOf,
  mayHear,
  type Positions,
  type Retention,
  retentionCutoff,
  STANDARD_WEBHOOKS_DELAYS_MS,
  startPositions,
  subscriptionQueue,
  timeOf,
} from './subscription.ts'
