import { createAccess, guard, isGuarded } from '@millrace/access'
import { ACCESS, REQUEST_LIMITS, SCHEDULE_METRICS } from '@millrace/contracts'
import {
  createHttpServer,
  createMetrics,
  endAnswer,
  listen,
  Pulse,
  startLoop,
  systemClock,
  type Telemetry,
  VERSION,
} from '@millrace/runtime'
import { joinPlatform, registryPartition, toStoreProblem } from '@millrace/streams'
import { startBackfiller } from './backfiller.ts'
import type { Config } from './config.ts'
import { startFiler } from './filer.ts'
import { createPlanner, PLAN_SWEEP_MS } from './planner.ts'
import { createReadiness } from './readiness.ts'
import { addBackfillRoutes } from './routes/backfill-routes.ts'
import { addLedgerRoute } from './routes/ledger-route.ts'
import { addPreviewRoute } from './routes/preview-route.ts'
import { addRunRoutes } from './routes/run-routes.ts'
import { addScheduleRoutes } from './routes/schedule-routes.ts'
import { GAS_PER_TICK } from './tick-data.ts'
import { createTickTraces } from './tick-traces.ts'
import { startTicker } from './ticker.ts'

const REDIS_DEADLINE_MS = 30_000
/** A ticker looks once a second, and so late nobody would call a tick on time. */
const TICKS_LATE_MS = 10_000

/** Build the scheduler: plan what the registry declares, fire what is due, answer requests. */
export async function startScheduler(config: Config, { logger, tracing }: Telemetry) {
  const appMetrics = createMetrics({ app: 'scheduler', version: VERSION, maxNames: config.MILLRACE_METRICS_NAMES })
  const platform = await joinPlatform({
    ...{ url: config.REDIS_URL, role: 'scheduler', partitions: config.MILLRACE_PARTITIONS, logger },
    timeoutMs: REDIS_DEADLINE_MS,
    onReconnect: (connection) => appMetrics.own.reconnects.inc({ connection }),
  })
  const { redis, partitions, registry, onError } = platform
  const clock = systemClock
  const metrics = appMetrics.instruments(SCHEDULE_METRICS)

  const production = config.MILLRACE_ENV === 'production'
  const duties = {
    ...{ partitions, registry, metrics, logger, onError },
    keep: config.MILLRACE_LEDGER_KEEP,
    gas: production ? GAS_PER_TICK : 0,
    // Which time-zone database Node computes with; it may be newer in the next release.
    tz: process.versions.tz ?? 'unknown',
    traces: createTickTraces(tracing),
  }

  const { planAll, planProblem, reopen } = createPlanner({
    ...duties,
    forget: (labels) => appMetrics.forget('schedule', labels),
  })
  const ticking = partitions.all.map(
    ({ number }) =>
      new Pulse({ done: `ticked in partition ${number}`, everyMs: TICKS_LATE_MS, failingForMs: TICKS_LATE_MS }),
  )
  const filers = partitions.all.map((partition) => startFiler(partition, duties))
  const tickers = partitions.all.map((partition, index) =>
    startTicker({
      ...{ ...duties, partition, onClosed: reopen },
      onTicked: () => ticking[index]?.beat(),
      onFired: () => filers[index]?.poke(),
    }),
  )
  const backfiller = startBackfiller(duties)
  const planner = startLoop({
    name: 'planner',
    intervalMs: PLAN_SWEEP_MS,
    onError,
    async run() {
      await planAll()
      for (const ticker of tickers) ticker.poke()
      return undefined
    },
  })
  registry.onChange(() => planner.poke())

  const { authenticate, quotas, metricsKey } = createAccess(config, {
    registry: registryPartition(redis),
    now: clock.now,
  })
  const server = await createHttpServer({
    title: 'Millrace scheduler',
    version: VERSION,
    logger,
    metrics: appMetrics,
    tracing,
    bodyLimitBytes: REQUEST_LIMITS.bodyBytes.value,
    clients: config,
    mapError: toStoreProblem,
    guard: (server) => guard(server, { table: ACCESS.scheduler, authenticate, quotas, metricsKey, end: endAnswer }),
    ready: createReadiness({ partitions, redisProblem: platform.problem, plannerProblem: planProblem, ticking }),
  })
  addScheduleRoutes(server, duties)
  addRunRoutes(server, { ...duties, production })
  addLedgerRoute(server, duties)
  addPreviewRoute(server, { clock })
  addBackfillRoutes(server, { ...duties, onBegun: () => backfiller.poke() })
  const port = await listen(server, {
    host: config.MILLRACE_HOST,
    port: config.MILLRACE_SCHEDULER_PORT,
    variable: 'MILLRACE_SCHEDULER_PORT',
    guarded: isGuarded(config),
  })
  logger.info({ event: 'scheduler.ready', port }, 'scheduler is ready')

  return {
    port,
    async stop() {
      await server.close()
      await Promise.all([planner, backfiller, ...tickers, ...filers].map((loop) => loop.stop()))
      platform.close()
    },
  }
}
