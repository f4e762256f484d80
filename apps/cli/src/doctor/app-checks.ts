import { VERSION } from '@millrace/runtime'
import { CommandError, readMetricsText, UnreachableError } from '../http.ts'
import { clockFinding } from './clock.ts'
import { type Finding, fail, ok, skipped, unless, warn } from './finding.ts'
import { type MetricSample, readMetrics, valuesOf } from './metric-text.ts'

const APPS = ['dispatcher', 'scheduler', 'audit'] as const
export type App = (typeof APPS)[number]

const TIMEOUT_MS = 5000
/** A Date header has whole seconds, rounded down: on average it is half a second old. */
const DATE_HEADER_LAG_MS = 500
/** As long as the alert on it waits. */
const RECORDER_LAG_S = 120

/** What to do about each problem that `/readyz` names. */
const FIXES: Readonly<Record<string, string>> = {
  redis: 'Start Redis, or correct REDIS_URL of this app.',
  store: 'Start the database, make room on its disk, or correct DATABASE_URL: the log of the audit app has the error.',
  lease: 'Is Redis slow, or this process starved of processor time? Its log has lease.renew_failed.',
  signing: 'Give this dispatcher the MILLRACE_MASTER_KEY that sealed the secrets.',
  process: 'Wait until it has started or drained.',
}

/** What an app says of itself, by its open routes. `redisAheadMs`: how far Redis's clock is ahead of ours. */
export async function checkApps(
  urls: Readonly<Record<App, string>>,
  { redisAheadMs }: { redisAheadMs: number },
): Promise<Finding[]> {
  const found = await Promise.all(APPS.map((app) => checkApp(app, urls[app], redisAheadMs)))
  return found.flat()
}

async function checkApp(app: App, url: string, redisAheadMs: number): Promise<Finding[]> {
  try {
    const before = Date.now()
    const answer = await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(TIMEOUT_MS) })
    const here = (before + Date.now()) / 2
    const body = (await answer.json()) as ReadyBody
    const date = Date.parse(answer.headers.get('date') ?? '')
    return [
      ...ready(app, body),
      ...(await checkMetrics(app, url)),
      ...(Number.isNaN(date)
        ? []
        : [clockFinding(`${app}.clock`, date + DATE_HEADER_LAG_MS - here - redisAheadMs, app)]),
    ]
  } catch (error) {
    const reason = (error as { cause?: NodeJS.ErrnoException }).cause?.code ?? (error as Error).name
    const variable = `MILLRACE_${app.toUpperCase()}_PORT`
    return [
      fail(
        `${app}.ready`,
        `${url} does not answer (${reason})`,
        `Start it, or name its address: --${app} or ${variable}.`,
      ),
    ]
  }
}

async function checkMetrics(app: App, url: string): Promise<Finding[]> {
  const text = await readMetricsText(url, TIMEOUT_MS).catch((error) => {
    if (error instanceof UnreachableError || !(error instanceof CommandError)) throw error
    return undefined
  })
  if (text === undefined) {
    const fix = 'Set MILLRACE_API_KEY to the key of an operator or auditor of all namespaces.'
    return [skipped(`${app}.metrics`, 'its metrics are not for this key', fix)]
  }
  const metrics = readMetrics(text)
  return [
    version(app, metrics),
    node(app, metrics),
    ...(app === 'dispatcher' ? circuits(metrics) : []),
    ...(app === 'audit' ? trail(metrics) : []),
  ]
}

interface ReadyBody {
  readonly problems?: Readonly<Record<string, string>>
  /** By partition, where it does its work on others. */
  readonly degraded?: Readonly<Record<string, string>>
}

function ready(app: App, { problems = {}, degraded = {} }: ReadyBody): Finding[] {
  const check = `${app}.ready`
  const named = Object.entries(problems)
  const parts = Object.entries(degraded)
  if (named.length === 0 && parts.length === 0) return [ok(check, 'does its work')]
  const fix = 'Is the primary of each of them there? redis-cli --cluster check <host:port> says so.'
  return [
    ...named.map(([problem, says]) =>
      fail(check, `${problem} ${says}`, FIXES[problem] ?? `The log of the ${app} has the error.`),
    ),
    ...parts.map(([partition, says]) => fail(check, `does its work, but not on ${partition}: ${says}`, fix)),
  ]
}

function version(app: App, metrics: readonly MetricSample[]): Finding {
  const found = metrics.find(({ name }) => name === 'millrace_build_info')?.labels.version ?? 'unknown'
  const says = `version ${found}`
  const fix = `This command is ${VERSION}. Bring all processes to one version: docs/operations.md, "Upgrade".`
  return unless(`${app}.version`, says, found !== VERSION && warn(`${app}.version`, says, fix))
}

function node(app: App, metrics: readonly MetricSample[]): Finding {
  const check = `${app}.node`
  const found = metrics.find(({ name }) => name === 'millrace_build_info')?.labels.node ?? 'unknown'
  const major = Number(/^v(\d+)/.exec(found)?.[1])
  if (Number.isNaN(major)) return skipped(check, 'does not say which Node it runs on', 'Look at node --version there.')
  return unless(check, `Node ${found}`, major < 24 && fail(check, `Node ${found}`, 'Run it with Node 24.'))
}

function circuits(metrics: readonly MetricSample[]): Finding[] {
  const open = metrics.filter(({ name, value }) => name === 'millrace_circuit_open' && value === 1)
  if (open.length === 0) return [ok('dispatcher.circuits', 'no endpoint is cut off')]
  const says = `the circuit of ${open.map(({ labels }) => `${labels.namespace}/${labels.queue}`).join(', ')} is open: jobs wait`
  return [warn('dispatcher.circuits', says, 'Repair or start the service; a probe closes the circuit by itself.')]
}

function trail(metrics: readonly MetricSample[]): Finding[] {
  const broken = valuesOf(metrics, 'millrace_audit_broken').reduce((sum, value) => sum + value, 0)
  const lagS = Math.max(0, ...valuesOf(metrics, 'millrace_audit_lag_seconds'))
  return [
    unless(
      'audit.trail',
      'the last sweep found nothing that is not intact',
      broken > 0 &&
        fail(
          'audit.trail',
          `${broken} chains are not intact`,
          'Change nothing, and run millrace audit verify: it names them.',
        ),
    ),
    unless(
      'audit.lag',
      'keeps up with the log',
      lagS > RECORDER_LAG_S &&
        fail('audit.lag', `is ${Math.round(lagS)} s behind the log`, 'Its log has recorder.failed with the error.'),
    ),
  ]
}
