import { globSync, readFileSync } from 'node:fs'
import { FAILURE_REASONS, PROBLEMS } from '@millrace/contracts'
import { code, table, wordsFor } from './table.mjs'

const PROBLEM_WORDS = {
  'request.malformed_json': 'Repair the body. Invalid UTF-8 is refused as well: it would be stored as something else.',
  'request.invalid':
    'Read `errors`: each has the JSON pointer of a field and what is wrong with it. Unknown fields are errors.',
  'request.too_large': 'Put the payload into a store of your own and enqueue a reference to it.',
  'request.unsupported_media_type': 'Send JSON with `content-type: application/json`.',
  'request.malformed': 'Send HTTP/1.1. What came could not be read as that, and the connection was closed.',
  'request.timeout': 'Send headers and body without pauses; the connection was closed. See [limits.md](limits.md).',
  'request.headers_too_large':
    'Send fewer or shorter headers, and what is long in the body. See [limits.md](limits.md).',
  'request.rate_limited':
    'Wait for `Retry-After`; send batches instead of single jobs, or raise `MILLRACE_RATE_LIMIT`. See [limits.md](limits.md#requests-a-minute).',
  'request.busy': 'Wait for `Retry-After` and send again. Nothing was read. See [limits.md](limits.md).',
  'request.not_found': 'Look at `GET /openapi.json` of that app; each app has routes of its own.',
  'manifest.invalid':
    'Read `errors`: each has the line, the pointer and the fix. See [manifest.md](manifest.md#what-is-refused).',
  'service.unknown': "Apply the service's manifest first.",
  'service.no_url': 'Send `url` at the first apply, or set `MILLRACE_SERVICE_URL_TEMPLATE`.',
  'target.refused':
    'Register an address that is open, or open it with `MILLRACE_TARGETS`. See [targets.md](targets.md).',
  'auth.required': 'Send `Authorization: Bearer <key>`; an admin makes one. See [access.md](access.md).',
  'auth.invalid': 'The detail says what is wrong with the key or token: unknown, revoked, expired, of another issuer.',
  'auth.forbidden': 'The detail says which role is needed for which namespace. Name a namespace, or ask for a grant.',
  'auth.unavailable': 'The identity provider does not answer. Try again after `Retry-After`; API keys still work.',
  'key.unknown': 'Look at `GET /keys`.',
  'key.revoked': 'Make a new one.',
  'secret.unknown': 'Look at `GET /services/{namespace}/secrets`.',
  'secret.rotating':
    'Two secrets sign at a time. Wait for the time that the answer names, revoke one of the two, or rotate with `graceSeconds: 0`.',
  'secret.last': 'Deliveries are always signed. Rotate with `graceSeconds: 0` to replace it at once.',
  'secret.unreadable': 'Add the master key that sealed it to `MILLRACE_MASTER_KEY` of this dispatcher.',
  'queue.unknown': 'Declare the queue in the manifest, or correct the name; the answer lists the declared ones.',
  'queue.closing': 'The last manifest no longer declares it. Declare it again to enqueue again.',
  'queue.draining':
    'Wait for `Retry-After` and send again, or ask whom the answer names. `POST /queues/{ns}/{name}/resume` ends it.',
  'schedule.unknown': 'Declare the schedule, or correct the name or the cron expression.',
  'schedule.declared_paused': 'Take `paused: true` out of the manifest and apply it.',
  'backfill.unknown': 'Correct the id. A backfill is forgotten 30 days after its end.',
  'backfill.conflict':
    'Another backfill has this id. What is asked with a known id must be the same as the first time.',
  'backfill.running':
    'Wait until it has ended, or stop it; the answer names it. What it has fired is passed over afterwards.',
  'job.not_waiting':
    'To cancel, the job must not be a dead letter; to reschedule, it must wait for a time. The answer says what it is.',
  'job.not_held':
    'Stop working on the job: the lease ended, somebody cancelled it, or it is at its end. Its history says which.',
  'queue.purge_token': 'Ask again without a token, look at the counts, and purge with the new token.',
  'batch.refused': 'Repair the job of the batch that has a code of its own, and send the whole batch again.',
  'job.unknown':
    'The id is wrong, the job is at its end (cancel, reschedule, explain) or not a dead letter (retry), or the recorder has not seen it yet (audit).',
  'redrive.unknown':
    'Correct the id. A redrive is forgotten 30 days after its end; one without rate, canary or id has none.',
  'redrive.conflict': 'Another redrive has this id. What is asked with a known id must be the same as the first time.',
  'history.missing':
    'Begin at the time that the message names, or set `SEPTOR_URL` for the dispatcher, so that it reads older events from the audit store.',
  'history.unavailable':
    'Wait for `Retry-After` and ask again. The audit app has to be there, and to have recorded what the log has lost.',
  'idempotency.conflict': 'The same key came with another body within 24 hours. A new job needs a new key.',
  'event.schema_mismatch':
    'The service declares a JSON Schema for this type, and the data does not fit it. Repair the data, or the schema.',
  'hold.unknown': 'Correct the id; `GET /v1/holds?released=true` lists them all.',
  'subscription.unknown': 'Correct the id, `<namespace>.<name>`; `GET /subscriptions` lists them.',
  'subscription.declared': 'It stands in a manifest. Change it there and apply it.',
  'subscription.exists': 'Choose another name, or change the one that there is with PUT.',
  'replay.unknown': 'Correct the id. A replay is forgotten 30 days after its end.',
  'entity.unknown': 'Correct the namespace or the entity id.',
  'stream.too_many':
    'Come again after `Retry-After`, close streams that nobody looks at, or raise `MILLRACE_AUDIT_STREAMS` (progress) or `MILLRACE_EVENT_READERS` (events).',
  'store.full': 'Wait for `Retry-After` and send again. Redis has reached `maxmemory`; nothing was accepted.',
  'store.unavailable':
    'Wait for `Retry-After` and send again with the same idempotency key: what became of the first is not known.',
  internal: 'A fault of Millrace. The log of the app has it under `http.failed`.',
}

const REASON_WORDS = {
  http_status: 'It answered with a status outside of 2xx and 3xx.',
  redirect: 'It answered with a 3xx. Redirects are not followed.',
  timeout: 'No complete answer within `timeoutMs`, or no connection within 5 s; a pull handler did not end in time.',
  connection_refused: 'Nothing listens there.',
  connection_reset: 'The connection ended before an answer began.',
  dns: 'The host name could not be resolved.',
  target_refused:
    'The address is not one that deliveries may go to, and nothing was sent. See [targets.md](targets.md).',
  tls: 'The TLS handshake failed: certificate, name or protocol. `error` says which; [who is trusted](operations.md#encryption).',
  bad_response: 'What came back is not HTTP.',
  incomplete_response: 'An answer began and did not end.',
  no_retry:
    'The endpoint said not to try again: status 489, or the header `x-no-retry: 1`; or a pull handler threw `NoRetry`.',
  crash_loop: 'Three holders in a row fell silent with this job in hand: dispatchers, or workers under a lease.',
  network: 'Another error of the connection; the text of the error says which.',
  cancelled: 'Somebody cancelled the job and the dispatcher ended its request. Nothing is tried again.',
  no_result:
    'Its batch was answered, and the answer has no result for this job that can be understood. See [delivery.md](delivery.md#batches).',
  not_begun:
    'The job was claimed a few milliseconds ahead and given back before an attempt at it began: its circuit opened, its queue was paused, the attempts before it took long, or the dispatcher shut down. It costs no attempt.',
  worker_failed: 'A worker said that it failed: one that held the job under a lease, or a pull handler that threw.',
}

const SDK_WORDS = {
  'sdk.unreachable': 'No answer at all. Whether the request was carried out is not known.',
  'sdk.timeout': 'No answer in time. Whether the request was carried out is not known.',
  'sdk.bad_answer': 'A success that could not be read.',
  'sdk.refused': 'An error status without a problem document: something else answered, such as a proxy.',
  'sdk.invalid_input':
    'The call makes no sense as it stands: nothing was sent, or subscribed to. The message names each mistake.',
  'sdk.closed': 'The consumer was closed before jobs could be taken.',
  'sdk.redis_unavailable': 'Redis is away. The consumer connects again by itself, and has lost no job.',
  'sdk.not_set_up': 'No platform was ever started on this Redis: start a dispatcher once, or correct the URL.',
  'sdk.unfit_redis': 'This Redis must not be trusted with jobs; the message has the command that mends it.',
  'sdk.queue_not_pulled':
    'The queue is not declared with `delivery: pull`. The consumer waits for a manifest that does.',
  'sdk.lease_lost':
    'The consumer was silent for longer than its lease, and its jobs went to another. Something held the event loop up.',
  'sdk.delivery_failed':
    'A step of taking or settling jobs failed for a reason other than a lost connection; it is tried again.',
  'sdk.result_not_kept': 'The job succeeded; its result is larger than 64 KiB or no JSON, and was not kept.',
  'sdk.hook_failed': 'A hook that was passed to `consume` or `subscribe` threw.',
  'sdk.signature_missing':
    'The request lacks a header of a signature: it is no delivery. See [verifying.md](verifying.md).',
  'sdk.signature_expired':
    'The request was signed too long ago, or in the future: it is sent again by somebody, or the clock of a machine is wrong.',
  'sdk.signature_invalid':
    'No signature of the request fits: another secret, or the body is not as it came. JSON that was parsed and written again has other bytes.',
  'sdk.body_too_large': 'The body of a request that nobody has verified yet is larger than `maxBodyBytes`.',
  'sdk.buffer_full': 'Too many emits wait for the audit service; this one was not taken.',
}

export function errorsPage() {
  const problem = wordsFor('problem codes', Object.keys(PROBLEMS), PROBLEM_WORDS)
  const reason = wordsFor('reasons', [...FAILURE_REASONS], REASON_WORDS)
  const sdkCodes = readSdkCodes()
  const sdk = wordsFor('codes of the SDK', sdkCodes, SDK_WORDS)
  return `# Error codes

## Answers of the API

Every error is an RFC 9457 problem document (\`application/problem+json\`) with \`type\`, \`title\`, \`status\`, \`detail\` and \`code\`;
\`type\` is \`urn:millrace:problem:<code>\`. The code is the contract: programs compare it, \`detail\` is for people. From
\`packages/contracts/src/problem.ts\`.

${table(
  ['code', 'status', 'title', 'what to do'],
  Object.entries(PROBLEMS).map(([name, { status, title }]) => [code(name), status, title, problem(name)]),
)}
## Reasons of a failed attempt

They stand in \`job.attempt_failed\` and \`job.dead_lettered\`, in dead letters as \`reason\`, and in the label \`reason\` of
\`millrace_delivery_attempts_total\`. From \`packages/contracts/src/jobs-api.ts\`.

${table(
  ['reason', 'meaning'],
  FAILURE_REASONS.map((name) => [code(name), reason(name)]),
)}
## Codes of the SDK

\`MillraceError\` of \`@millrace/sdk\` carries the code of the problem document. Where there was none it has one of its own:

${table(
  ['code', 'meaning'],
  sdkCodes.map((name) => [code(name), sdk(name)]),
)}`
}

/** The SDK's own codes are a list nowhere: they are where they are thrown. */
function readSdkCodes() {
  const folder = new URL('../../packages/sdk/src/', import.meta.url)
  const text = globSync('**/*.ts', { cwd: folder })
    .map((file) => readFileSync(new URL(file, folder), 'utf8'))
    .join('\n')
  return [...new Set([...text.matchAll(/'(sdk\.[a-z_]+)'/g)].map((match) => match[1]))].toSorted()
}
