import { readFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import type { ApplyResponse, JobView, QueueCounts } from '@millrace/contracts'
import type { Config } from '../config.ts'
import { CommandError, call, callAll, readMetricsText } from '../http.ts'
import { sumMetric } from './metric-text.ts'
import { answers, type Supervised, startService, withoutMasterKey } from './platform.ts'

/** The example service that `millrace up --example` runs. */
export const EXAMPLE = { namespace: 'dependency-audit', schedule: 'nightly-audit', queue: 'audit-package' } as const

const FOLDER = new URL('../../../../examples/dependency-audit/', import.meta.url)
const POLL_MS = 150
/** Without any progress for so long something is wrong, and the reader should know where to look. */
const STUCK_MS = 120_000
/** The fan-out goes on after the tick was answered; it is over when nothing new was enqueued for so long. */
const SETTLED_MS = 1000

export interface FanOutSummary {
  readonly fired: number
  readonly fannedOut: number
  /** Jobs that an earlier run had accepted and not finished. */
  readonly resumed: number
  readonly delivered: number
  readonly retried: number
  readonly deadLettered: number
  readonly auditRecords: number
  readonly chains: number
  readonly chainValid: boolean
  readonly durationMs: number
}

export type Progress = (state: {
  readonly accepted: number
  readonly finished: number
  readonly retried: number
  readonly dead: number
}) => void

/** Start the service, apply its manifest. */
export async function startExample(
  config: Config,
  { onRestart }: { onRestart(message: string): void },
): Promise<{ service: Supervised; applied: ApplyResponse }> {
  const env = {
    ...withoutMasterKey(config.env),
    PORT: String(config.ports.example),
    IEC_QUEUE_URL: config.urls.dispatcher,
    SEPTOR_URL: config.urls.audit,
    ...(config.apiKey !== undefined && { MILLRACE_API_KEY: config.apiKey }),
  }
  const service = startService({
    name: 'example',
    file: fileURLToPath(new URL('src/main.ts', FOLDER)),
    env,
    home: config.home,
    onRestart,
  })
  await Promise.race([answers(`${config.urls.example}/health`, 'example service', service.logFile), service.endedEarly])
  service.markReady()
  const manifest = readFileSync(new URL('catalog-info.yaml', FOLDER), 'utf8')
  const applied = await call<ApplyResponse>(config.urls.dispatcher, `/services/${EXAMPLE.namespace}`, {
    method: 'PUT',
    // The example of another version may have declared what this one does not.
    body: { manifest, url: config.urls.example, who: config.user, why: 'the example of this version' },
  })
  return { service, applied }
}

/** Fire the example's schedule once and follow the fan-out to its end. */
export async function runFanOut(config: Config, onProgress: Progress, signal: AbortSignal): Promise<FanOutSummary> {
  const startedAt = Date.now()
  const before = await readState(config)
  const trigger = await call<{ id: string }>(
    config.urls.scheduler,
    `/schedules/${EXAMPLE.namespace}/${EXAMPLE.schedule}/trigger`,
    { method: 'POST', body: { who: config.user, why: 'millrace up' } },
  )
  const { state: after, changedAt } = await followUntilDone(config, before, onProgress, signal)
  const tick = await call<JobView>(config.urls.audit, `/v1/jobs/${trigger.id}?wait=30s`, { timeoutMs: 60_000 })
  const trail = await verifyWhenRecorded(config, signal)
  return {
    fired: tick.state === 'succeeded' ? 1 : 0,
    fannedOut: after.accepted - before.accepted,
    resumed: before.live,
    delivered: after.succeeded - before.succeeded,
    retried: after.retried - before.retried,
    deadLettered: after.dead - before.dead,
    auditRecords: trail.records,
    chains: trail.chains,
    chainValid: trail.valid,
    durationMs: changedAt - startedAt,
  }
}

interface State {
  readonly accepted: number
  readonly succeeded: number
  readonly dead: number
  readonly live: number
  readonly retried: number
}

async function readState(config: Config): Promise<State> {
  const path = `/queues?namespace=${EXAMPLE.namespace}`
  const queues = await callAll<QueueCounts>(config.urls.dispatcher, path, 'queues')
  const queue = queues.find(({ queue }) => queue === EXAMPLE.queue)
  if (!queue) throw new CommandError(`The example's queue ${EXAMPLE.queue} is not registered.`)
  const metrics = await readMetricsText(config.urls.dispatcher)
  const retried = sumMetric(metrics, 'millrace_delivery_attempts_total', {
    namespace: EXAMPLE.namespace,
    queue: EXAMPLE.queue,
    outcome: 'retry',
  })
  const live = queue.waiting + queue.running + queue.scheduled
  return { accepted: queue.accepted, succeeded: queue.succeeded, dead: queue.dead, live, retried }
}

async function followUntilDone(
  config: Config,
  before: State,
  onProgress: Progress,
  signal: AbortSignal,
): Promise<{ state: State; changedAt: number }> {
  let last = before
  let changedAt = Date.now()
  for (;;) {
    await delay(POLL_MS, undefined, { signal })
    const state = await readState(config)
    if (JSON.stringify(state) !== JSON.stringify(last)) changedAt = Date.now()
    last = state
    const finished = state.succeeded + state.dead - before.succeeded - before.dead
    onProgress({
      accepted: state.accepted - before.accepted + before.live,
      finished,
      retried: state.retried - before.retried,
      dead: state.dead - before.dead,
    })
    const quietMs = Date.now() - changedAt
    if (state.accepted > before.accepted && state.live === 0 && quietMs >= SETTLED_MS) return { state, changedAt }
    if (quietMs > STUCK_MS)
      throw new CommandError(
        `No progress for ${STUCK_MS / 1000} s: ${JSON.stringify(state)}. The logs are in ${config.home}/logs.`,
      )
  }
}

interface Trail {
  readonly records: number
  readonly chains: number
  readonly valid: boolean
}

/** The trail is verified when the recorder has caught up with what just happened. */
async function verifyWhenRecorded(config: Config, signal: AbortSignal): Promise<Trail> {
  const deadline = Date.now() + STUCK_MS
  let records = -1
  for (;;) {
    const metrics = await readMetricsText(config.urls.audit)
    const trail = await call<Trail>(config.urls.audit, '/v1/verify')
    // The example's own emits arrive a moment after its answers: two looks without a new record are the end.
    if (sumMetric(metrics, 'millrace_audit_lag_entries') === 0 && trail.records === records) return trail
    if (Date.now() > deadline)
      throw new CommandError(
        `The audit trail has not caught up within ${STUCK_MS / 1000} s. Its log is ${config.home}/logs/audit.log.`,
      )
    records = trail.records
    await delay(4 * POLL_MS, undefined, { signal })
  }
}
