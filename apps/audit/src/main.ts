import { randomUUID } from 'node:crypto'
import { setMaxListeners } from 'node:events'
import { join } from 'node:path'
import { createAccess, guard, isGuarded } from '@millrace/access'
import { ACCESS, ProblemError, REQUEST_LIMITS } from '@millrace/contracts'
import { certificateAdvice } from '@millrace/contracts/certificate-advice'
import {
  systemClock as clock,
  createHttpServer,
  createMetrics,
  endAnswer,
  limitOpen,
  listen,
  openEventStreams,
  type RunningService,
  runService,
  StartError,
  startTelemetry,
  type Telemetry,
  VERSION,
} from '@millrace/runtime'
import {
  connectBlocking,
  createLogReader,
  LOG_READERS,
  openRedis,
  type Partition,
  registryPartition,
  whenReady,
} from '@millrace/streams'
import { addEmitRoute } from './api/emit-route.ts'
import { addEraseRoute } from './api/erase-route.ts'
import { addEventRoutes } from './api/event-routes.ts'
import { addExportRoute } from './api/export-route.ts'
import { addHistoryRoute } from './api/history-route.ts'
import { addHoldRoutes } from './api/hold-routes.ts'
import { addJobRoutes } from './api/job-routes.ts'
import { addProgressRoutes } from './api/progress-routes.ts'
import { addReadModelRoutes } from './api/read-model-routes.ts'
import { addRebuildRoutes } from './api/rebuild-route.ts'
import { storeProblem } from './api/store-problems.ts'
import { addStreamRoute } from './api/stream-route.ts'
import { addVerifyRoute } from './api/verify-route.ts'
import { createChangeFeed } from './changes/change-feed.ts'
import { type AuditConfig, readConfig } from './config.ts'
import { startKeeping } from './keeping/keeping.ts'
import { createAuditMetrics } from './metrics.ts'
import { createLogFeed, FEED_BLOCK_MS } from './progress/log-feed.ts'
import { createRebuilder } from './read-models/rebuilder.ts'
import { startStatsRetention } from './read-models/retention.ts'
import { createReadiness } from './readiness.ts'
import { startLagSampler } from './recorder/lag.ts'
import { READ_BLOCK_MS, startRecorder } from './recorder/recorder.ts'
import { createSignals } from './recorder/signals.ts'
import { openStore, type Store } from './store/open-store.ts'

/** A batch takes milliseconds; what else may run is a long verification, which need not be waited for. */
const DRAIN_MS = 10_000
const REDIS_TIMEOUT_MS = 10_000
/** Somebody waits for the stream to begin. */
const FEED_TIMEOUT_MS = 2000
/** A record is metadata and a payload; files belong elsewhere. */

await runService({
  name: 'millrace-audit',
  async start() {
    const config = readConfig()
    const telemetry = await startTelemetry(config, { app: 'audit', loadSdk: () => import('./otel-sdk.ts') })
    return { service: await start(config, telemetry), telemetry, drainMs: DRAIN_MS }
  },
})

async function start(config: AuditConfig, { logger, tracing }: Telemetry): Promise<RunningService> {
  const { REDIS_URL: url, MILLRACE_PARTITIONS, MILLRACE_HOME, MILLRACE_HOST: host, MILLRACE_AUDIT_PORT } = config
  const appMetrics = createMetrics({ app: 'audit', version: VERSION, maxNames: config.MILLRACE_METRICS_NAMES })
  const { redis, partitions, problem, disconnect } = await openRedis({
    ...{ url, role: 'audit', partitions: MILLRACE_PARTITIONS, logger, timeoutMs: REDIS_TIMEOUT_MS },
    waitReplicas: config.MILLRACE_WAIT_REPLICAS,
    onReconnect: (connection) => appMetrics.own.reconnects.inc({ connection }),
  })
  const store = await open(join(MILLRACE_HOME, 'audit', 'audit.sqlite'), config.DATABASE_URL)

  const metrics = createAuditMetrics(appMetrics)
  const signals = createSignals()
  const stopping = new AbortController()
  // Every request that waits listens to it; there is no number of them that would be a leak.
  setMaxListeners(0, stopping.signal)
  const holder = `audit-${randomUUID()}`

  const connectReader = async (partition: Partition) => {
    const onReconnect = () => appMetrics.own.reconnects.inc({ connection: 'log' })
    const blocking = connectBlocking({
      ...{ url, partition: partition.number, role: 'audit-log', log: logger, blockMs: READ_BLOCK_MS, onReconnect },
    })
    await whenReady(blocking, { timeoutMs: REDIS_TIMEOUT_MS })
    return { partition, blocking }
  }
  const logs = await Promise.all([...partitions.all, registryPartition(redis)].map(connectReader))
  const recorders = logs.map(({ partition, blocking }) => {
    const reader = createLogReader({ partition, blocking, group: LOG_READERS.audit })
    const recorder = startRecorder({
      ...{ reader, trail: store.trail, signals, metrics, logger, clock, holder },
      keepEvents: config.MILLRACE_LOG_KEEP,
      cancelRead: () => blocking.disconnect(),
    })
    return { partition, recorder, reader }
  })
  const readers = recorders.map(({ reader }) => reader)
  const rebuilder = createRebuilder({ database: store, clock, logger })
  await rebuilder.startIfOutdated()
  const retention = startStatsRetention({ database: store, clock, logger })
  const lag = startLagSampler({ readers, trail: store.trail, metrics, clock })
  const keeping = startKeeping({ config, read: store.read, partitions, signals, metrics, logger, clock, holder })

  const { authenticate, quotas, metricsKey } = createAccess(config, {
    registry: registryPartition(redis),
    now: clock.now,
  })
  const server = await createHttpServer({
    ...{
      title: 'Millrace audit',
      version: VERSION,
      logger,
      tracing,
      metrics: appMetrics,
      bodyLimitBytes: REQUEST_LIMITS.bodyBytes.value,
      clients: config,
    },
    ready: createReadiness({ redisProblem: problem, store, logs: recorders }),
    mapError: storeProblem,
    guard: (server) => guard(server, { table: ACCESS.audit, authenticate, quotas, metricsKey, end: endAnswer }),
  })
  // A connection that stays open after its last answer would hold the stop up until its client lets it go.
  server.addHook('onSend', async (_request, reply) => {
    if (stopping.signal.aborted) reply.header('connection', 'close')
  })
  const { read } = store
  addEmitRoute(server, { partitions, read, signals, stopping: stopping.signal })
  addEventRoutes(server, { read, metrics, stopping: stopping.signal })
  addHistoryRoute(server, { read, readCursor: store.trail.readCursor })
  addVerifyRoute(server, { read, metrics, stopping: stopping.signal })
  addExportRoute(server, { read, clock, stopping: stopping.signal })
  addEraseRoute(server, { read, partitions, signals, stopping: stopping.signal })
  addHoldRoutes(server, { read, partitions, signals, stopping: stopping.signal })
  addReadModelRoutes(server, { read })
  addRebuildRoutes(server, { rebuilder, partitions })
  addJobRoutes(server, { read, dialect: store.dialect, partitions, signals, stopping: stopping.signal })

  const feed = createLogFeed({
    async connect({ number }) {
      const blocking = connectBlocking({
        ...{ url, partition: number, role: 'audit-feed', log: logger, blockMs: FEED_BLOCK_MS },
      })
      await whenReady(blocking, { timeoutMs: FEED_TIMEOUT_MS }).catch((error) => {
        blocking.disconnect()
        throw error
      })
      return blocking
    },
    onError: (error) => logger.warn({ event: 'feed.broken', err: error }, 'the log cannot be followed, streams end'),
  })
  const openStreams = metrics.openStreams.labels({})
  const streams = await openEventStreams(server, {
    enter: limitOpen({ max: config.MILLRACE_AUDIT_STREAMS, onCount: (open) => openStreams.set(open) }),
    stopping: stopping.signal,
  })
  addProgressRoutes(server, { read, partitions, feed, readCursor: store.trail.readCursor, streams })
  addStreamRoute(server, { feed: createChangeFeed(read), streams })

  const port = await listen(server, {
    host,
    port: MILLRACE_AUDIT_PORT,
    variable: 'MILLRACE_AUDIT_PORT',
    guarded: isGuarded(config),
  })
  logger.info({ event: 'service.listening', host, port }, `audit listens on http://${host}:${port}`)

  return {
    async stop() {
      // Whoever waits for a job or a record is answered now, with what there is; a long verification ends with this.
      stopping.abort(new ProblemError('store.unavailable', 'The audit app is stopping.', { retryAfterSeconds: 1 }))
      await server.close()
      feed.stop()
      await Promise.all([
        rebuilder.stop(),
        retention.stop(),
        keeping.stop(),
        lag.stop(),
        ...recorders.map(({ recorder }) => recorder.stop()),
      ])
      disconnect()
      await store.close()
    },
  }
}

async function open(path: string, url: string | undefined): Promise<Store> {
  try {
    return await openStore({ path, url })
  } catch (error) {
    const { message, cause } = error as Error
    const fix = certificateAdvice(cause) ?? 'It must name a PostgreSQL database in which this user may create tables.'
    throw new StartError(
      url === undefined
        ? `The audit store ${path} cannot be opened: ${message}. MILLRACE_HOME must name a folder that this user can write to.`
        : `The audit store of DATABASE_URL cannot be opened: ${message}. ${fix}`,
      { cause: error },
    )
  }
}
