import { readConfig as readAudit } from '../../apps/audit/src/config.ts'
import { readConfig as readCli } from '../../apps/cli/src/config.ts'
import { readConfig as readDispatcher } from '../../apps/dispatcher/src/config.ts'
import { readConfig as readScheduler } from '../../apps/scheduler/src/config.ts'
import { readConfig as readAlerts } from '../../examples/dead-letter-alerts/src/config.ts'
import { readConfig as readExample } from '../../examples/dependency-audit/src/config.ts'
import { code, table, wordsFor } from './table.mjs'

const READERS = [
  { name: 'dispatcher', read: readDispatcher, defaultsOf: (config) => config },
  { name: 'scheduler', read: readScheduler, defaultsOf: (config) => config },
  { name: 'audit', read: readAudit, defaultsOf: (config) => config },
  { name: 'cli', read: readCli, defaultsOf: ({ ports }) => ({ MILLRACE_EXAMPLE_PORT: ports.example }) },
  {
    name: 'example',
    read: readExample,
    defaultsOf: ({ port, queueUrl, septorUrl, namespace }) => ({
      PORT: port,
      IEC_QUEUE_URL: queueUrl,
      SEPTOR_URL: septorUrl,
      SERVICE_NAMESPACE: namespace,
    }),
  },
  {
    name: 'alerts example',
    read: readAlerts,
    defaultsOf: ({ chatUrl }) => ({ CHAT_WEBHOOK_URL: chatUrl }),
  },
]

const WORDS = {
  REDIS_URL:
    '`redis://`, `rediss://` or `unix:///path`; `redis+cluster://` and `redis+sentinel://` for [several servers](#redis). `millrace up` starts a server of its own when it is not set, and has no default then.',
  MILLRACE_PARTITIONS: 'How many partitions, 1 to 4094. Fixed at first boot; another number is refused later.',
  MILLRACE_WAIT_REPLICAS:
    'So many replicas, up to 5, have a job, an event or a fact before its producer is told that it is accepted. [scaling.md](scaling.md#waiting-for-replicas)',
  MILLRACE_HOST:
    'The address to listen on. One that others can reach needs authentication: see [access.md](access.md).',
  MILLRACE_HOME:
    'The data folder: embedded Redis, the audit store, logs of `millrace up`, the master key where none is set. Dispatcher, audit and `up` write there.',
  MILLRACE_METRICS_NAMES:
    'How many queues have series of their own in `/metrics`, and as many schedules and namespaces, 1 to 10,000. The rest share [`_other`](metrics.md).',
  MILLRACE_TRUSTED_PROXIES:
    'Proxies in front, as addresses and ranges: `10.0.0.7,10.1.0.0/16`. Their `X-Forwarded-For` says who the client is. See [Behind a proxy](#behind-a-proxy).',
  MILLRACE_MAX_CONNECTIONS: 'How many connections one app has at once, 10 to 1,000,000. [limits.md](limits.md)',
  MILLRACE_RATE_LIMIT: 'Requests a minute of one key or token at one process. [limits.md](limits.md#requests-a-minute)',
  MILLRACE_ADMIN_KEY:
    'A key that may do everything, 32 characters or more; with it every request needs a key. See [access.md](access.md).',
  MILLRACE_METRICS_KEY:
    'A key for `/metrics` alone, 32 characters or more; where keys are needed, it closes `/metrics` to everybody else but operators and auditors of all namespaces. See [access.md](access.md#metrics).',
  MILLRACE_MASTER_KEY:
    'What signing secrets are sealed with: 32 bytes in hex, of several with commas between them the first one seals. Needed where the dispatcher listens on more than loopback; see [verifying.md](verifying.md#the-master-key).',
  MILLRACE_API_KEY: 'The key that commands and services show to the apps, and the dispatcher to the audit app.',
  MILLRACE_JWKS_URL:
    'Where an identity provider publishes the public keys of its tokens; with it every request needs a key or a token.',
  MILLRACE_JWT_ISSUER: 'What `iss` of a token must say.',
  MILLRACE_JWT_AUDIENCE: 'What `aud` of a token must say.',
  MILLRACE_JWT_CLAIM: 'The claim of a token that lists its grants.',
  LOG_LEVEL: '`trace`, `debug`, `info`, `warn`, `error`, `fatal` or `silent`. See [logging.md](logging.md).',
  OTEL_EXPORTER_OTLP_ENDPOINT:
    'Where [traces](#traces) go: the base URL of an OTLP/HTTP receiver, such as `http://127.0.0.1:4318`. Without it there are none.',
  OTEL_EXPORTER_OTLP_PROTOCOL: '`http/protobuf` or `http/json`. gRPC is not there.',
  OTEL_TRACES_SAMPLER:
    '`always_on`, `always_off`, `traceidratio`, or one of these with `parentbased_` in front: callers who say whether they record are heard.',
  OTEL_TRACES_SAMPLER_ARG: 'The share of traces that `traceidratio` records, 0 to 1.',
  OTEL_BSP_SCHEDULE_DELAY: 'Spans wait so many ms before they are sent, unless a batch of them is full.',
  OTEL_BSP_MAX_QUEUE_SIZE: 'So many spans wait at most; more are dropped.',
  OTEL_BSP_MAX_EXPORT_BATCH_SIZE: 'So many spans are sent at once.',
  OTEL_SDK_DISABLED: '`true` turns traces off whatever the rest says.',
  MILLRACE_DELIVERY_TRACES:
    '`joined`: the delivery of a job is in the trace that created it; `linked`: it is a trace of its own with a link. See [Traces](#traces).',
  MILLRACE_DISPATCHER_PORT: 'Port of the dispatcher; 0 takes any free one.',
  MILLRACE_SERVICE_URL_TEMPLATE:
    'Where a service listens when an apply gives no `url`: an http URL with `{namespace}` in it.',
  MILLRACE_TARGETS:
    'Which addresses deliveries may go to: `public`, `private`, `loopback`, ranges, each for all or for one namespace. The default is `public` alone where keys are needed. See [targets.md](targets.md).',
  MILLRACE_MAX_JOB_BYTES: 'The largest payload of a job, 1 KiB to 16 MiB.',
  MILLRACE_DRAIN_MS: 'How long a drain waits for deliveries under way, up to 10 minutes. See [Shutdown](#shutdown).',
  MILLRACE_LEASE_MS:
    'How long a dispatcher may be silent before its jobs are taken over, 500 ms to 1 minute. It is renewed three times as often.',
  MILLRACE_EVENT_GRANTS:
    'Who may subscribe to the platform events of other namespaces: `ops:*,billing:shop`. See [subscriptions.md](subscriptions.md#what-the-platform-says).',
  MILLRACE_SUBSCRIPTION_WAITING:
    'So many events wait in the queue of a subscription at most; the log keeps the rest for it.',
  MILLRACE_EVENT_READERS:
    'How many readers one dispatcher lets wait at `GET /events` and `GET /events/stream`, 1 to 100,000.',
  MILLRACE_EVENT_RETENTION_MS: 'How long the log keeps events for a subscription that is behind.',
  MILLRACE_EVENT_RETENTION_BYTES:
    'How much memory a log may take before subscriptions that are behind are taken ahead; 0 for no limit.',
  MILLRACE_SCHEDULER_PORT: 'Port of the scheduler.',
  MILLRACE_ENV:
    '`production`, `sandbox` or `development`. In `production` a delivered tick costs gas, and the scheduler has no `GET /__scheduled`.',
  MILLRACE_LEDGER_KEEP: 'How many rows the ledger of each schedule keeps at least, the newest, 10 to 100,000.',
  MILLRACE_AUDIT_PORT: 'Port of the audit app.',
  DATABASE_URL:
    'The audit store in PostgreSQL 14 or newer, `postgres://user:password@host:5432/database`, instead of SQLite in `MILLRACE_HOME`. The user must be allowed to create tables there. With `?sslmode=verify-full` [over TLS](operations.md#encryption).',
  MILLRACE_LOG_KEEP: 'About how many of the newest events stay in each log after they were recorded.',
  MILLRACE_AUDIT_SWEEP_MS:
    'How long after [a sweep](audit.md#the-sweep) of the whole trail the next one begins. 0: never.',
  MILLRACE_AUDIT_RETENTION:
    'How many days payloads are kept, by event type: `job.*=90,*=1095`; the first pattern that fits counts. Nothing is pruned without it. [audit.md](audit.md#retention-and-legal-holds)',
  MILLRACE_AUDIT_PRUNE_MS: 'How long after a pruning of payloads the next one begins.',
  MILLRACE_AUDIT_STREAMS:
    'How many [progress streams](api.md#progress-as-it-comes) one audit process has open at once, 1 to 100,000.',
  MILLRACE_EXAMPLE_PORT: 'Port of the example service under `millrace up --example`.',
  PORT: 'Port of the example service; `millrace up` sets it.',
  IEC_QUEUE_URL: 'The dispatcher, for services; `millrace up` sets it for the example.',
  SEPTOR_URL:
    'The audit app: for services, and for the dispatcher, which [reads events there](subscriptions.md#further-back-than-the-log) that the log no longer has. `millrace up` sets it.',
  SERVICE_NAMESPACE: 'The namespace that the example enqueues and emits under.',
  CHAT_WEBHOOK_URL: 'Where the alerts example posts its lines.',
  LOCKFILE: 'The lockfile that the example audits; `package-lock.json` of this repository when it is not set.',
}

/** Every variable that a config.ts reads, found by handing it an environment that notes what it is asked for. */
export async function environmentTable() {
  const variables = new Map()
  for (const { name, read, defaultsOf } of READERS) {
    const asked = new Set()
    const env = new Proxy({}, { get: (_target, key) => void asked.add(String(key)) })
    const defaults = defaultsOf(read(env))
    for (const variable of asked) {
      const known = variables.get(variable) ?? { readers: [], fallback: undefined }
      known.readers.push(name)
      known.fallback ??= defaults[variable]
      variables.set(variable, known)
    }
  }
  const words = wordsFor('variables', [...variables.keys()], WORDS)
  const rows = [...variables].map(([variable, { readers, fallback }]) => [
    code(variable),
    // A list that is empty, when nothing is set.
    fallback === undefined || typeof fallback === 'object' ? '–' : code(fallback),
    readers.join(', '),
    words(variable),
  ])
  return table(['variable', 'default', 'read by', 'meaning'], rows)
}
