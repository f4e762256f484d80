import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, freePort, type PostgresServer, type RedisServer, startPostgres } from '@millrace/testkit'
import { App, type AppSpec } from './app.ts'
import { type Deployment, type DeploymentKind, startDeployment } from './deployment.ts'
import { MANIFEST, NAMESPACE } from './manifest.ts'

export interface PlatformOptions {
  readonly dispatchers: number
  readonly schedulers: number
  /** Audit processes; one unless told. Several share the store. */
  readonly audits?: number
  readonly workers: number
  readonly store: 'sqlite' | 'postgres'
  /** `single` unless told. */
  readonly redis?: DeploymentKind
  readonly leaseMs: number
  /** Where the pull workers do their jobs. */
  readonly serviceUrl: string
  /** More of the environment of every app. */
  readonly env?: Readonly<Record<string, string>>
}

/** A whole platform of real processes, each behind a network of its own that can be broken. */
export interface Platform {
  readonly deployment: Deployment
  /** The one server, where there is one. */
  readonly redis: RedisServer
  readonly postgres: PostgresServer | undefined
  readonly apps: readonly App[]
  /** The audit store, for reading its records without the app. */
  readonly store: { readonly sqlitePath: string; readonly databaseUrl: string | undefined }
  app(name: string): App
  of(role: App['role']): App[]
  urlOf(name: string): string
  ready(timeoutMs?: number): Promise<void>
  stop(): Promise<void>
}

// A start costs two seconds of processor time, and on a busy machine they are a long time coming.
const READY_MS = 120_000

const source = (path: string) => new URL(`../../apps/${path}/src/main.ts`, import.meta.url)

export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const home = await mkdtemp(join(tmpdir(), 'millrace-chaos-'))
  const deployment = await startDeployment(options.redis ?? 'single')
  const redis = deployment.server
  const redisOf = { redisPort: redis.port, ...(deployment.kind !== 'single' && { redisUrl: deployment.url }) }
  const postgres = options.store === 'postgres' ? await startPostgres() : undefined
  const databaseUrl = await postgres?.createDatabase('audit')
  const urls = new Map<string, string>()
  const common = {
    ...{ LOG_LEVEL: 'warn', MILLRACE_HOME: home, MILLRACE_LEASE_MS: String(options.leaseMs) },
    ...{ MILLRACE_PARTITIONS: String(deployment.partitions), ...options.env },
  }

  const server = async (role: 'dispatcher' | 'scheduler' | 'audit', number: number): Promise<AppSpec> => {
    const port = await freePort()
    const name = `${role}-${number}`
    const url = `http://127.0.0.1:${port}`
    urls.set(name, url)
    return {
      ...{ name, role, file: source(role), ...redisOf },
      env: (redisUrl) => ({
        ...common,
        REDIS_URL: redisUrl,
        [`MILLRACE_${role.toUpperCase()}_PORT`]: String(port),
        ...(databaseUrl !== undefined && { DATABASE_URL: databaseUrl }),
        ...(urls.has('audit-1') && { SEPTOR_URL: urls.get('audit-1') as string }),
      }),
      isReady: async () => (await fetch(`${url}/readyz`, { signal: AbortSignal.timeout(2000) })).ok,
    }
  }
  const worker = (number: number): AppSpec => ({
    ...{ name: `worker-${number}`, role: 'worker', ...redisOf, file: new URL('worker.ts', import.meta.url) },
    env: (redisUrl) => ({
      ...{ TEST_REDIS: redisUrl, TEST_NAMESPACE: NAMESPACE, TEST_QUEUE: 'parcels', TEST_SERVICE: options.serviceUrl },
      TEST_LEASE_MS: String(options.leaseMs),
    }),
    isReady: async (app) => app.output().includes('ready'),
  })
  const numbers = (count: number) => Array.from({ length: count }, (_, index) => index + 1)
  // The audit app comes first, so that the others know where it is.
  const specs: AppSpec[] = []
  for (const n of numbers(options.audits ?? 1)) specs.push(await server('audit', n))
  for (const n of numbers(options.dispatchers)) specs.push(await server('dispatcher', n))
  for (const n of numbers(options.schedulers)) specs.push(await server('scheduler', n))
  specs.push(...numbers(options.workers).map(worker))
  const apps = await Promise.all(specs.map((spec) => App.create(spec)))

  const stop = async () => {
    await Promise.all(apps.map((app) => app.kill()))
    await Promise.all(apps.map((app) => app.proxy.stop()))
    await postgres?.stop()
    await deployment.stop()
    await rm(home, { recursive: true, force: true })
  }
  const ready = async (timeoutMs = READY_MS) => {
    for (const app of apps)
      await eventually(() => app.isReady(), { timeoutMs, intervalMs: 50, what: `${app.name} to be ready` })
  }
  return {
    ...{ deployment, redis, postgres, apps, ready, stop },
    store: { sqlitePath: join(home, 'audit', 'audit.sqlite'), databaseUrl },
    app(name) {
      const found = apps.find((each) => each.name === name)
      if (!found) throw new Error(`There is no ${name} here; there are ${apps.map((each) => each.name).join(', ')}`)
      return found
    },
    of: (role) => apps.filter((app) => app.role === role),
    urlOf: (name) => urls.get(name) as string,
  }
}

/** Start the apps in an order in which each finds what it needs: the workers need the service to be declared. */
export async function startApps(platform: Platform, declare: () => Promise<void>): Promise<void> {
  const [workers, servers] = [platform.of('worker'), platform.apps.filter(({ role }) => role !== 'worker')]
  await Promise.all(servers.map((app) => app.start()))
  const first = platform.of('dispatcher')[0] as App
  await eventually(() => first.isReady(), { timeoutMs: READY_MS, what: `${first.name} to be ready` })
  await declare()
  await Promise.all(workers.map((app) => app.start()))
  await platform.ready()
}

/** Applies the manifest of the run, with the service at this URL. */
export async function declare(platform: Platform, serviceUrl: string): Promise<void> {
  const answer = await fetch(`${platform.urlOf('dispatcher-1')}/services/${NAMESPACE}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ who: 'chaos', manifest: MANIFEST, url: serviceUrl }),
  })
  if (!answer.ok) throw new Error(`The manifest was refused: ${await answer.text()}`)
}
