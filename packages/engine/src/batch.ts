import type { QueueDefinition } from '@millrace/contracts'
import { type AttemptResult, KEPT_BODY_CHARACTERS } from './classify.ts'
import { type DeliveryInput, type DeliveryRequest, traceparentOf } from './delivery.ts'
import { headerLine, sendable } from './header-line.ts'
import { rawElements, rawMember } from './raw-json.ts'

/** A job as its batch's request names it. */
export interface BatchJob extends DeliveryInput {
  readonly maxAttempts: number
}

export interface BatchContext {
  readonly definition: QueueDefinition
  /** Of the request. */
  readonly id: string
  readonly nowMs: number
  readonly trace?: Pick<DeliveryInput, 'traceparent' | 'tracestate'> | undefined
}

/** What a batch's answer says of its jobs. */
export interface BatchAnswer {
  /** One result for each job, in the order of the request. */
  readonly results: readonly AttemptResult[]
  /** Results that were passed over: of jobs that were not in the request, or further ones of a job. */
  readonly ignored: number
}

/**
 * The request that delivers several jobs: `{queue, jobs: [{jobId, attempt, maxAttempts, epoch, token, traceparent, data}]}`,
 * each `data` as the text it came as. The headers are of the request alone: nothing of a job, since they have many. So a
 * trace is in them only where the request has one of its own.
 *
 * @throws TypeError when a value cannot be sent in a header
 */
export function buildBatch(jobs: readonly BatchJob[], { definition, id, nowMs, trace }: BatchContext): DeliveryRequest {
  const timestamp = String(Math.floor(nowMs / 1000))
  return {
    id,
    timestamp,
    lines:
      `content-type: application/json\r\nwebhook-id: ${id}\r\nwebhook-timestamp: ${timestamp}\r\n` +
      `x-batch-size: ${jobs.length}\r\nx-deadline-ms: ${sendable('x-deadline-ms', definition.timeoutMs)}\r\n` +
      headerLine('traceparent', trace?.traceparent) +
      headerLine('tracestate', trace?.tracestate),
    body: `{"queue":${JSON.stringify(definition.name)},"jobs":[${jobs.map(jobText).join(',')}]}`,
  }
}

function jobText({ data, id, attempt, maxAttempts, epoch, token, traceparent }: BatchJob): string {
  const trace = traceparent ?? traceparentOf({ id, epoch })
  const head = JSON.stringify({ jobId: id, attempt, maxAttempts, epoch, token, traceparent: trace })
  return `${head.slice(0, -1)},"data":${data}}`
}

/**
 * What an answer to a batch means for each of its jobs. A request that failed, and an answer other than 2xx, is said of
 * all. A 2xx carries `{"results": [{jobId, status, retryAfterMs?, noRetry?, leaseSeconds?, result?}]}`, and each of these
 * is then read as if the job had been answered alone: with that status, `Retry-After`, `x-no-retry`, `x-job-lease` and
 * body. A job of which the answer says nothing that can be understood has failed with `no_result`.
 */
export function readBatchAnswer(answer: AttemptResult, jobIds: readonly string[]): BatchAnswer {
  if (answer.kind === 'failed') return { results: jobIds.map(() => answer), ignored: 0 }
  if (answer.status < 200 || answer.status > 299) {
    const cut = forAll(answer)
    return { results: jobIds.map(() => cut), ignored: 0 }
  }
  const items = itemsIn(answer)
  if (typeof items === 'string') return { results: jobIds.map(() => noResult(answer, items)), ignored: 0 }
  const wanted = new Set(jobIds)
  const byJob = new Map<string, Item>()
  let ignored = 0
  for (const item of items) {
    const { jobId } = item.said
    if (typeof jobId === 'string' && wanted.has(jobId) && !byJob.has(jobId)) byJob.set(jobId, item)
    else ignored++
  }
  const missing = noResult(answer, 'the answer to the batch has no result for this job')
  return {
    results: jobIds.map((id) => {
      const item = byJob.get(id)
      return item ? toResult(item, answer) : missing
    }),
    ignored,
  }
}

type Answer = AttemptResult & { readonly kind: 'response' }

interface Item {
  readonly said: Readonly<Record<string, unknown>>
  readonly text: string
}

/** The entries of the list of results, or why there is none. */
function itemsIn({ body, truncated }: Answer): Item[] | string {
  if (truncated) return 'the answer to the batch is longer than what is read of one'
  let results: unknown
  try {
    results = (JSON.parse(body) as { results?: unknown } | null)?.results
  } catch {
    return 'the answer to the batch is not JSON'
  }
  if (!Array.isArray(results)) return 'the answer to the batch has no list of results'
  const texts = rawElements(body, 'results')
  return results.map((said, index) => ({ said: Object(said), text: texts[index] as string }))
}

/** An entry as the answer that the job would have had alone. A failure keeps the whole entry, for the history. */
function toResult({ said, text }: Item, answer: Answer): AttemptResult {
  const { status, retryAfterMs, noRetry, leaseSeconds } = said
  if (typeof status !== 'number' || !Number.isInteger(status) || status < 200 || status > 599)
    return noResult(answer, 'the result of this job has no status from 200 to 599', text)
  const kept = status < 300 ? (rawMember(text, 'result') ?? '') : text
  return {
    kind: 'response',
    status,
    headers: {
      'content-type': 'application/json',
      ...(noRetry === true && { 'x-no-retry': '1' }),
      ...(typeof leaseSeconds === 'number' && { 'x-job-lease': String(leaseSeconds) }),
    },
    body: kept,
    // An entry that says a failure is no job's result, should the policy table call that failure complete.
    truncated: status >= 300,
    ...(typeof retryAfterMs === 'number' && retryAfterMs >= 0 && { retryAfterMs: Math.round(retryAfterMs) }),
  }
}

/** An answer that stands for every job: its body is for the history, and no job's result; its lease is nobody's. */
function forAll({ kind, status, headers, body }: Answer): Answer {
  return { kind, status, headers, body: body.slice(0, KEPT_BODY_CHARACTERS), truncated: true }
}

function noResult({ status, headers, body }: Answer, error: string, said = body): AttemptResult {
  const answer = { status, headers: { ...headers }, body: said.slice(0, KEPT_BODY_CHARACTERS) }
  return { kind: 'failed', reason: 'no_result', error, answer }
}
