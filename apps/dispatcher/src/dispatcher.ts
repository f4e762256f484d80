import { createAccess, createSecretStore, guard, isGuarded } from '@millrace/access'
import { ACCESS, DISPATCHER_METRICS, REQUEST_LIMITS } from '@millrace/contracts'
import { createProgressLog, type PartitionDelivery } from '@millrace/delivery'
import {
  createHttpServer,
  createMetrics,
  endAnswer,
  type Loop,
  listen,
  systemClock,
  type Telemetry,
  VERSION,
} from '@millrace/runtime'
import { joinPlatform, registryPartition, toStoreProblem } from '@millrace/streams'
import { addKeyRoutes } from './access/key-routes.ts'
import { namespaceOf } from './access/namespace-of.ts'
import { startCloser } from './closer.ts'
import { startCollector } from './collector.ts'
import type { Config } from './config.ts'
import { startRedriver } from './dead-letters/redriver.ts'
import { createAttemptTraces } from './delivery/attempt-traces.ts'
import { createEndpointHealth } from './delivery/endpoint-health.ts'
import { startPartitionDispatcher } from './delivery/partition-dispatcher.ts'
import { createSender } from './delivery/sender.ts'
import { addAsyncApiRoute } from './events/asyncapi-route.ts'
import { addFeedRoutes } from './events/feed-routes.ts'
import { createHistory } from './events/history.ts'
import { addPublishRoutes } from './events/publish-routes.ts'
import { createPublisher } from './events/publisher.ts'
import { addReplayRoutes } from './events/replay-routes.ts'
import { addSubscriptionRoutes } from './events/subscription-routes.ts'
import { addTryRoute } from './events/try-route.ts'
import { createTypeNotes } from './events/type-notes.ts'
import { addDeadLetterRoutes } from './intake/dead-letter-routes.ts'
import { addJobCommandRoutes } from './intake/job-command-routes.ts'
import { homeOf } from './intake/job-home.ts'
import { addJobRoutes } from './intake/job-routes.ts'
import { addQueueCommandRoutes } from './intake/queue-command-routes.ts'
import { addQueueRoutes } from './intake/queue-routes.ts'
import { addRedriveRoutes } from './intake/redrive-routes.ts'
import { addServiceRoutes } from './intake/service-routes.ts'
import { addWorkerRoutes } from './intake/worker-routes.ts'
import { createReadiness, type Phase } from './readiness.ts'
import { startRouter } from './router/router.ts'
import { createViewSource } from './router/view-source.ts'
import { openMasterKeys, refuseStrangeSecrets } from './signing/master-keys.ts'
import { addSecretRoutes } from './signing/secret-routes.ts'
import { startSigner } from './signing/signer.ts'
import { parseTargets } from './targets/open-ranges.ts'
import { createTargetCheck } from './targets/target-check.ts'

const REDIS_DEADLINE_MS = 30_000

/** Build the dispatcher, take requests, then join the partitions and deliver. */
export async function startDispatcher(config: Config, { logger, tracing }: Telemetry) {
  const masterKeys = openMasterKeys(config, logger)
  const appMetrics = createMetrics({ app: 'dispatcher', version: VERSION, maxNames: config.MILLRACE_METRICS_NAMES })
  const platform = await joinPlatform({
    ...{ url: config.REDIS_URL, role: 'dispatcher', partitions: config.MILLRACE_PARTITIONS, logger },
    waitReplicas: config.MILLRACE_WAIT_REPLICAS,
    timeoutMs: REDIS_DEADLINE_MS,
    onReconnect: (connection) => appMetrics.own.reconnects.inc({ connection }),
  })
  const { redis, subscriber, facts, partitions, registry, durability, onError } = platform
  const clock = systemClock
  const signer = await startSigner({ keys: masterKeys, redis, subscriber, logger, onError })
  refuseStrangeSecrets(signer)
  const metrics = appMetrics.instruments(DISPATCHER_METRICS)
  const targets = parseTargets(config.MILLRACE_TARGETS)
  const targetCheck = createTargetCheck(targets)
  const sender = createSender()
  const health = createEndpointHealth(clock)
  const traces = tracing && createAttemptTraces(tracing, { linked: config.MILLRACE_DELIVERY_TRACES === 'linked' })

  let dispatchers: readonly PartitionDelivery[] = []
  let redriver: Loop | undefined
  let phase: Phase = 'starting'
  const access = createAccess(config, { registry: registryPartition(redis), now: clock.now })
  const server = await createHttpServer({
    title: 'Millrace dispatcher',
    version: VERSION,
    logger,
    metrics: appMetrics,
    tracing,
    bodyLimitBytes: REQUEST_LIMITS.bodyBytes.value,
    clients: config,
    mapError: toStoreProblem,
    guard: (server) =>
      guard(server, {
        ...{ table: ACCESS.dispatcher, authenticate: access.authenticate, quotas: access.quotas },
        metricsKey: access.metricsKey,
        namespaceOf: (id) => namespaceOf(partitions, id),
        end: endAnswer,
      }),
    ready: createReadiness({
      ...{ partitions, signer, redisProblem: platform.problem },
      delivery: () => dispatchers,
      phase: () => phase,
    }),
  })
  addKeyRoutes(server, access)
  addSecretRoutes(server, createSecretStore(registryPartition(redis), { keys: masterKeys, now: clock.now }))
  addJobRoutes(server, {
    registry,
    partitions,
    metrics,
    clock,
    durability,
    maxJobBytes: config.MILLRACE_MAX_JOB_BYTES,
    tracing,
  })
  const views = createViewSource({ registry, partitions, grants: config.MILLRACE_EVENT_GRANTS })
  await addPublishRoutes(server, {
    registry,
    publisher: createPublisher({
      registry,
      partitions,
      types: createTypeNotes({ redis, clock, onError }),
    }),
    metrics,
    clock,
    durability,
    maxEventBytes: config.MILLRACE_MAX_JOB_BYTES,
    tracing,
  })
  addSubscriptionRoutes(server, {
    ...{ registry, registryPartition: registryPartition(redis), partitions, clock, views, targetCheck },
  })
  const sources = [...partitions.all, registryPartition(redis)]
  const history = createHistory({
    url: config.SEPTOR_URL,
    key: config.MILLRACE_API_KEY ?? config.MILLRACE_ADMIN_KEY,
    clock,
  })
  addReplayRoutes(server, { registry, partitions, sources, history, views, clock })
  await addFeedRoutes(server, {
    sources,
    grants: config.MILLRACE_EVENT_GRANTS,
    maxReaders: config.MILLRACE_EVENT_READERS,
  })
  addAsyncApiRoute(server, { registry, redis, clock })
  addTryRoute(server, { partitions, grants: config.MILLRACE_EVENT_GRANTS })
  addServiceRoutes(server, {
    registry,
    registryPartition: registryPartition(redis),
    partitions,
    clock,
    views,
    targetCheck,
    ...(config.MILLRACE_SERVICE_URL_TEMPLATE && { urlTemplate: config.MILLRACE_SERVICE_URL_TEMPLATE }),
  })
  addQueueRoutes(server, { registry, partitions })
  addDeadLetterRoutes(server, { registry, partitions, metrics, wakeRedriver: () => redriver?.poke() })
  addRedriveRoutes(server, { registry, partitions })
  addJobCommandRoutes(server, { registry, partitions, clock, metrics, logger, signer, targets })
  const progress = createProgressLog({ homeOf: (id) => homeOf(partitions, id), onError })
  addWorkerRoutes(server, { partitions, progress, metrics, logger, random: Math.random })
  addQueueCommandRoutes(server, { registry, partitions, clock, metrics })
  const port = await listen(server, {
    host: config.MILLRACE_HOST,
    port: config.MILLRACE_DISPATCHER_PORT,
    variable: 'MILLRACE_DISPATCHER_PORT',
    guarded: isGuarded(config),
  })

  // Claiming comes last: a process that cannot start must not have taken jobs, which would count as a holder that died.
  dispatchers = await Promise.all(
    partitions.all.map((partition) =>
      startPartitionDispatcher({
        partition,
        partitions,
        registry,
        subscriber,
        metrics,
        logger,
        sender,
        health,
        signer,
        targets,
        clock,
        traces,
        random: Math.random,
        leaseMs: config.MILLRACE_LEASE_MS,
      }),
    ),
  )
  const collector = startCollector({
    ...{ registry, partitions, metrics, clock, onError },
    forget: (labels) => appMetrics.forget('queue', labels),
  })
  const closer = startCloser({
    registry,
    registryPartition: registryPartition(redis),
    partitions,
    clock,
    sender,
    targets,
    onError,
  })
  const router = startRouter({
    redisUrl: config.REDIS_URL,
    partitions,
    registryPartition: registryPartition(redis),
    registry,
    metrics,
    logger,
    clock,
    views,
    history,
    maxWaiting: config.MILLRACE_SUBSCRIPTION_WAITING,
    leaseMs: config.MILLRACE_LEASE_MS,
    retention: {
      maxAgeMs: config.MILLRACE_EVENT_RETENTION_MS,
      maxBytes: config.MILLRACE_EVENT_RETENTION_BYTES,
    },
  })
  redriver = startRedriver({ partitions, metrics, leaseMs: config.MILLRACE_LEASE_MS, onError })
  phase = 'running'
  logger.info(
    {
      event: 'dispatcher.ready',
      port,
      redis: facts.version,
      ...durability.now(),
      partitions: partitions.all.length,
    },
    'dispatcher is ready',
  )

  return {
    port,
    /** Stop taking requests and claiming, let running deliveries end, settle, hand the rest over. */
    async stop() {
      phase = 'draining'
      // Claiming ends at once, whatever else takes its time to stop.
      const drained = Promise.all(dispatchers.map((dispatcher) => dispatcher.drain(config.MILLRACE_DRAIN_MS)))
      await Promise.all([drained, collector.stop(), closer.stop(), redriver?.stop(), router.stop()])
      await server.close()
      await progress.flush().catch(onError)
      await sender.close()
      signer.stop()
      platform.close()
    },
  }
}
