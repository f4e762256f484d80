/** A bound that holds for everybody, so that what one does costs the others little. `docs/limits.md` is made of these. */
export interface Limit {
  readonly value: number
  readonly unit: 'bytes' | 'ms' | 'characters' | 'levels' | 'requests a minute' | ''
  readonly of: string
  /** What happens at the bound. */
  readonly past: string
  /** The variable that changes it; `value` is its default. */
  readonly variable?: string
}

const limits = <const Name extends string>(all: Readonly<Record<Name, Limit>>) => all

/** What comes in, at every app. */
export const REQUEST_LIMITS = limits({
  headerBytes: { value: 16_384, unit: 'bytes', of: 'request line and headers', past: '431, the connection ends' },
  // A header is one packet or a few; who needs longer for it is not sending it.
  headersMs: { value: 15_000, unit: 'ms', of: 'until all headers are there', past: '408, the connection ends' },
  // The largest body, 32 MiB, in this time is 4.5 Mbit/s.
  requestMs: { value: 60_000, unit: 'ms', of: 'until the whole request is there', past: '408, the connection ends' },
  // Longer than any wait that an answer may have (60 s) and any silence of a stream (15 s).
  idleMs: { value: 600_000, unit: 'ms', of: 'a connection on which nothing moves', past: 'the connection ends' },
  connections: {
    value: 10_000,
    unit: '',
    of: 'connections of one app at once',
    past: 'further ones are closed',
    variable: 'MILLRACE_MAX_CONNECTIONS',
  },
  heldBodyBytes: {
    value: 268_435_456,
    unit: 'bytes',
    of: 'bodies of all requests under way in one app; one of unknown length counts with its limit',
    past: '503 `request.busy` with `Retry-After`',
  },
  bodyBytes: { value: 1_048_576, unit: 'bytes', of: 'a body, manifests included', past: '413 `request.too_large`' },
  droppedBodyBytes: {
    value: 16_777_216,
    unit: 'bytes',
    of: 'a refused body whose rest is read, so that its sender hears why',
    past: 'the connection ends',
  },
  bulkBodyBytes: {
    value: 33_554_432,
    unit: 'bytes',
    of: 'the body of `POST /jobs/batch` and `POST /events`',
    past: '413 `request.too_large`',
  },
  // What reads a payload later (JSON.stringify, a database, a worker) recurses into it, and would fail again and again.
  jsonLevels: { value: 512, unit: 'levels', of: 'arrays and objects in each other in a body', past: '422' },
  keyRate: {
    value: 300_000,
    unit: 'requests a minute',
    of: 'one key or token, at one process',
    past: '429 `request.rate_limited` with `Retry-After`',
    variable: 'MILLRACE_RATE_LIMIT',
  },
  addressRate: {
    value: 6000,
    unit: 'requests a minute',
    of: 'one client address without a valid key (health, metrics, refused keys), at one process',
    past: '429 `request.rate_limited` with `Retry-After`',
  },
  pageItems: {
    value: 1000,
    unit: '',
    of: 'items of a page (`limit`); without a word 100, and all 1,000 of services, queues, schedules, backfills, subscriptions, replays, keys and holds',
    past: '422',
  },
  waitSeconds: { value: 60, unit: '', of: 'seconds that an answer waits (`wait`); 30 at `GET /events`', past: '422' },
})

/** What is kept. */
export const STORE_LIMITS = limits({
  jobBytes: {
    value: 262_144,
    unit: 'bytes',
    of: 'the payload of a job, an event in all',
    past: '413 `request.too_large`',
    variable: 'MILLRACE_MAX_JOB_BYTES',
  },
  batchJobs: { value: 1000, unit: '', of: 'jobs of `POST /jobs/batch`', past: '422' },
  batchEvents: { value: 1000, unit: '', of: 'events of a batch', past: '422' },
  manifestCharacters: { value: 1_000_000, unit: 'characters', of: 'a manifest as text', past: '422' },
  // Each queue costs its dispatchers a look every two seconds or so, and Redis three streams.
  queues: { value: 1000, unit: '', of: 'queues of a namespace', past: '422 `manifest.invalid`' },
  schedules: { value: 1000, unit: '', of: 'schedules of a namespace', past: '422 `manifest.invalid`' },
  // Each published event is held against every one of them that might want it.
  subscriptions: { value: 1000, unit: '', of: 'subscriptions of a namespace, however made', past: '422' },
  // Every one of them lengthens each request. There are two kinds, so a list of four needs no pages.
  signingSecrets: {
    value: 2,
    unit: '',
    of: 'signing secrets of a kind that a namespace has at a time: four in all, which come in one answer',
    past: '409 `secret.rotating`',
  },
  eventTypes: { value: 1000, unit: '', of: 'declared events of a namespace', past: '422 `manifest.invalid`' },
  metricNames: {
    value: 200,
    unit: '',
    of: 'queues with series of their own in the metrics, schedules and namespaces alike',
    past: 'the rest share `_other`',
    variable: 'MILLRACE_METRICS_NAMES',
  },
  resultCharacters: { value: 65_536, unit: 'characters', of: 'the result of a job', past: 'the job has no result' },
})

/** What is sent to services, and what is taken of their answers. */
export const DELIVERY_LIMITS = limits({
  connectMs: { value: 5000, unit: 'ms', of: 'until a connection stands', past: 'failed attempt, `timeout`' },
  timeoutMs: {
    value: 86_400_000,
    unit: 'ms',
    of: '`timeoutMs`: from the request to the end of its answer, however slowly it comes',
    past: '422; at the time itself the attempt fails, `timeout`',
  },
  answerHeaderBytes: {
    value: 16_384,
    unit: 'bytes',
    of: 'headers of an answer',
    past: 'failed attempt, `bad_response`',
  },
  answerBytes: {
    value: 1_048_576,
    unit: 'bytes',
    of: 'read of an answer',
    past: 'the status counts and the connection ends',
  },
  keptAnswerBytes: { value: 65_536, unit: 'bytes', of: 'kept of an answer', past: 'the rest is read and dropped' },
  batchAnswerBytes: { value: 4_194_304, unit: 'bytes', of: 'the answer to a batch', past: 'its jobs have no result' },
  batchBytes: { value: 4_194_304, unit: 'bytes', of: 'a delivered batch', past: 'a further one is sent' },
  concurrency: { value: 10_000, unit: '', of: '`concurrency` of a queue', past: '422' },
  retries: { value: 1000, unit: '', of: '`retries`', past: '422' },
})
