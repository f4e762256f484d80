import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { hold, type Settlement } from '@millrace/streams'
import { eventually, startPostgres } from '@millrace/testkit'
import { BOTH, type Context, compare, type Figure, type Measure, type Row } from '../measure.ts'
import { Meter, rateOf } from '../meter.ts'
import { childrenOf } from '../processor-time.ts'
import { type App, type Store, startApp, whenReady, withStore } from '../sides/millrace.ts'
import { openPassThrough, passThrough } from '../sides/pass-through.ts'

/** As a busy dispatcher writes them: many jobs in one entry where they are enqueued, some where they are delivered. */
const ENQUEUED = 1000
const CLAIMED = 50
const POLL_MS = 50
/** Longer than any filling takes. */
const HOLD_MS = 600_000

/** How fast a running audit app folds a log that it finds: every record chained and hashed, all read models. */
export const fold: Measure = {
  name: 'fold',
  about: 'events of the log a second that the audit app records, SQLite and PostgreSQL, against 30,000 and 20,000',
  appendfsync: BOTH,
  async run(context) {
    const home = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
    // What it does with its disk is part of what is measured; a test's server spares that.
    const postgres = await startPostgres({ fsync: 'on', shared_buffers: '128MB' })
    try {
      return [
        await folding(context, { name: 'SQLite', aim: 30_000, home, url: '' }),
        await folding(context, {
          ...{ name: 'PostgreSQL', aim: 20_000, home, url: await postgres.createDatabase() },
          server: () => childrenOf(postgres.pid),
        }),
      ]
    } finally {
      await postgres.stop()
      await rm(home, { recursive: true, force: true })
    }
  },
}

interface Side {
  readonly name: string
  /** Events a second. */
  readonly aim: number
  readonly home: string
  readonly url: string
  /** The processes of the database, where it has its own. */
  server?(): readonly number[]
}

function folding(context: Context, { name, aim, home, url, server }: Side): Promise<Row> {
  return withStore(context.appendfsync, async (store) => {
    const skip = context.size(90_000, 1000)
    const count = context.size(aim * 10, 20_000)
    const lease = { name: 'recorder', holder: 'bench' }
    // So that it is up, and waits, while the log fills.
    await hold(store.partition, { ...lease, ttlMs: HOLD_MS })
    const app = await startApp(store, { name: 'audit', env: { MILLRACE_HOME: home, DATABASE_URL: url } })
    await whenReady(app)
    await fillLog(store, skip + count, context)
    context.say(`folding into ${name}`)
    await hold(store.partition, { ...lease, ttlMs: 0 })
    const { figure, lagSeconds } = await watch(app, { skip, count, redis: store.redis.pid, server })
    await app.stop()
    return compare({
      what: `events folded into ${name}`,
      // How far behind it was when the measuring began, as its metrics say.
      ours: { ...figure, parts: { 'lag, s': lagSeconds } },
      peer: { value: aim },
      peerName: 'the aim',
      unit: 'events/s',
      target: { atLeast: 1 },
    })
  })
}

/** Of a hundred jobs two die and four have to be tried again. */
function settlementOf(n: number): Settlement {
  const failure = { reason: 'http_status', durationMs: 12, lastResponse: { status: 500 } } as const
  if (n % 50 === 7) return { kind: 'dead', ...failure }
  if (n % 25 === 3) return { kind: 'retry', delayMs: 86_400_000, ...failure }
  return { kind: 'succeeded', status: 200, durationMs: 12 }
}

async function fillLog(store: Store, events: number, { say }: Context): Promise<void> {
  say(`${events} events and more happen`)
  await openPassThrough(store, { concurrency: CLAIMED })
  // Three events a job at least, and a few more than are waited for.
  const jobs = Math.ceil(events / 3 / ENQUEUED + 1) * ENQUEUED
  await passThrough(store, { jobs, enqueued: ENQUEUED, claimed: CLAIMED, settlementOf })
}

interface Watched {
  readonly skip: number
  readonly count: number
  readonly redis: number
  server?: (() => readonly number[]) | undefined
}

async function watch(app: App, { skip, count, redis, server }: Watched) {
  let seen = 0
  const poll = async () => {
    const metrics = await fetch(`${app.url}/metrics`).then(
      (response) => response.text(),
      () => '',
    )
    seen = sumOf(metrics, 'millrace_audit_records_total')
    return metrics
  }
  const until = (events: number) =>
    eventually(async () => (await poll()) && seen >= events, {
      ...{ timeoutMs: 600_000, intervalMs: POLL_MS, what: `${events} events to be recorded` },
    })
  await until(skip)
  if (seen >= skip + count) throw new Error(`all ${seen} events were recorded before the measuring began`)
  const servers = (server?.() ?? []).map((pid, index) => [`postgres ${index}`, pid] as const)
  const meter = new Meter({ skip: 0, count: 1, pids: { audit: app.pid, redis, ...Object.fromEntries(servers) } })
  const lagSeconds = Math.max(...valuesOf(await poll(), 'millrace_audit_lag_seconds'))
  const before = seen
  meter.count(0)
  await until(skip + count)
  meter.count(seen - before)
  return { lagSeconds, figure: joined(rateOf(await meter.done)) }
}

/** The processes of one server as one. */
function joined({ processorMicros = {}, ...figure }: Figure): Figure {
  const sums: Record<string, number> = {}
  for (const [name, micros] of Object.entries(processorMicros)) {
    const who = name.split(' ')[0] as string
    sums[who] = (sums[who] ?? 0) + micros
  }
  return { ...figure, processorMicros: sums }
}

function sumOf(metrics: string, name: string): number {
  return valuesOf(metrics, name).reduce((sum, value) => sum + value, 0)
}

function valuesOf(metrics: string, name: string): number[] {
  return [...metrics.matchAll(new RegExp(`^${name}(?:\\{[^}]*\\})? (\\S+)`, 'gm'))].map(([, value]) => Number(value))
}
