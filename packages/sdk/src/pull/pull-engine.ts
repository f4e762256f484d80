import { type QueueDefinition, queueAddress, REGISTRY_PARTITION } from '@millrace/contracts'
import { createProgressLog, type PartitionDelivery, startPartitionDelivery } from '@millrace/delivery'
import {
  checkServer,
  checkSettings,
  connectSubscriber,
  createPartitions,
  followRegistry,
  fullAddress,
  isConnectionError,
  openConnections,
  queuesOf,
  type RegistryView,
  raise,
  readPartitionCount,
  registryPartition,
  whenServing,
} from '@millrace/streams'
import { MillraceError } from '../errors.ts'
import { activeTracer } from '../traces/active-tracer.ts'
import { traceAttempts } from '../traces/traced-attempts.ts'
import { Deadlines } from './deadlines.ts'
import { declareSubscription, noService, type SubscriptionFields } from './declare-subscription.ts'
import { createHandlerAttempts, type Handler } from './handler-attempts.ts'
import type { ConsumeOptions } from './pull-options.ts'
import { createDeliveryLog, createPullReport } from './pull-report.ts'

/** What is pulled: a queue that a manifest declares, or a subscription. */
export interface PullSource {
  readonly kind: 'queue' | 'subscription'
  readonly name: string
  /** Of a subscription that the consumer itself declares: what it is to be. */
  readonly declares?: SubscriptionFields
}

export interface PullEngineDeps {
  readonly source: PullSource
  readonly handler: Handler
  readonly options: ConsumeOptions
  readonly signal: AbortSignal
  onReady(): void
  tell(error: MillraceError): void
}

export interface PullEngine {
  close(): Promise<void>
}

const REDIS_DEADLINE_MS = 5000
const DEFAULT_LEASE_MS = 6000
const DEFAULT_CLOSE_TIMEOUT_MS = 25_000

/** Connect, learn of the platform, and deliver one queue to a handler. Rejects, with nothing left open, when it cannot. */
export async function startPullEngine({ source, options, signal, ...deps }: PullEngineDeps): Promise<PullEngine> {
  const { tell } = deps
  const { namespace } = options
  const queue = queueAddress(source.kind, source.name)
  const address = fullAddress(namespace, queue)
  const log = createDeliveryLog(options.log, tell)
  const connections = openConnections({ url: options.redis, role: 'pull', log })
  const redis = connections.of(REGISTRY_PARTITION)
  const subscriber = connectSubscriber({ url: options.redis, role: 'pull-wake', log })
  let registry: RegistryView | undefined
  const disconnect = () => {
    registry?.stop()
    connections.disconnect()
    subscriber.disconnect()
  }
  // Closed while it starts: whatever it waits for ends with the connections.
  signal.addEventListener('abort', disconnect)
  const onError = (error: unknown) => {
    if (!isConnectionError(error)) log.error({ event: 'background.failed', err: error }, 'background duty failed')
  }
  try {
    await connections.ready({ timeoutMs: REDIS_DEADLINE_MS })
    const patience = { timeoutMs: REDIS_DEADLINE_MS, signal }
    const count = await whenServing(() => readPartitionCount(redis), patience)
    if (count === undefined) {
      const message =
        'No Millrace platform has used this Redis yet: start a dispatcher once, or correct the redis option'
      throw new MillraceError(message, { code: 'sdk.not_set_up' })
    }
    await whenServing(() => checkServer(redis, { partitions: count }), patience)
    const partitions = createPartitions(connections.of, count)
    const partition = partitions.of(address)
    // Of a cluster it needs its own partition; to declare a subscription it reads where all of the logs end.
    for (const used of source.declares ? partitions.all : [partition]) connections.of(used.number)
    await connections.ready({ timeoutMs: REDIS_DEADLINE_MS })
    await whenServing(() => checkSettings(partition.redis).then(() => raise(partition)), patience)
    if (source.declares) {
      const registry = registryPartition(connections.of)
      await declareSubscription({ partitions, registry }, { namespace, name: source.name, fields: source.declares })
    }
    registry = await followRegistry({ redis, subscriber, onError })
    const follow = followDeclaration(registry, { source, namespace, tell })
    const progress = createProgressLog({ homeOf: async () => ({ partition, address }), onError })
    const report = (id: string, said: Parameters<typeof progress.report>[1]) => progress.report(id, said).catch(onError)
    const deadlines = new Deadlines()
    const tracer = activeTracer()
    const delivery: PartitionDelivery = await startPartitionDelivery({
      ...{ partition, partitions, registry, subscriber },
      logger: log,
      leaseMs: options.leaseMs ?? DEFAULT_LEASE_MS,
      pulls: address,
      makerOf({ definition }) {
        follow.onTaken()
        const attempts = createHandlerAttempts(definition, {
          handler: deps.handler,
          concurrency: options.concurrency ?? Number.POSITIVE_INFINITY,
          deadlines,
          random: Math.random,
          report,
          onUnkeptResult(jobId, why) {
            tell(new MillraceError(`The result of ${jobId} is not kept: ${why}`, { code: 'sdk.result_not_kept' }))
          },
        })
        return tracer ? traceAttempts(attempts, { tracer, address, linked: options.traces === 'linked' }) : attempts
      },
      reportOf: () => createPullReport(address, queue, options, tell),
      onJoin: () => follow.onJoined(),
      onLeaseLost(consumer) {
        const message = `${consumer} was silent for too long, and its jobs went to another consumer: something held the process or its event loop up`
        tell(new MillraceError(message, { code: 'sdk.lease_lost' }))
      },
      onEnded: ({ id, outcome }) =>
        options.log?.warn(
          { event: `job.${outcome}`, jobId: id, queue: address },
          'job ended instead of being taken over',
        ),
    })
    follow.start(deps.onReady)
    signal.removeEventListener('abort', disconnect)
    return {
      async close() {
        await delivery.drain(options.closeTimeoutMs ?? DEFAULT_CLOSE_TIMEOUT_MS)
        await progress.flush().catch(onError)
        disconnect()
      },
    }
  } catch (error) {
    signal.removeEventListener('abort', disconnect)
    disconnect()
    throw error
  }
}

interface Declaration {
  readonly source: PullSource
  readonly namespace: string
  tell(error: MillraceError): void
}

/** Says when jobs can be taken, and tells once per change why none can be. */
function followDeclaration(registry: RegistryView, { source, namespace, tell }: Declaration) {
  const { kind, name } = source
  let isTaken = false
  let isJoined = false
  let onReady: (() => void) | undefined
  let told: string | undefined
  const look = () => {
    const service = registry.service(namespace)
    const found =
      service && queuesOf(service).find(({ definition }) => definition.kind === kind && definition.name === name)
    const fault = service ? faultOf(found?.definition, { source, namespace }) : noService(namespace)
    if (fault !== undefined && fault !== told) tell(new MillraceError(fault, { code: 'sdk.queue_not_pulled' }))
    told = fault
  }
  const settle = () => {
    if (isTaken && isJoined) onReady?.()
  }
  registry.onChange((changed) => changed === namespace && look())
  return {
    start(ready: () => void) {
      onReady = ready
      look()
      settle()
    },
    onTaken() {
      isTaken = true
      settle()
    },
    onJoined() {
      isJoined = true
      settle()
    },
  }
}

function faultOf(
  definition: QueueDefinition | undefined,
  { source: { kind, name }, namespace }: Pick<Declaration, 'source' | 'namespace'>,
): string | undefined {
  if (definition?.delivery === 'pull') return undefined
  return `${namespace} has no ${kind} ${name} with delivery: pull, so nothing is taken from it: correct its manifest or the name`
}
