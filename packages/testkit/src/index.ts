/**
 * Building blocks for tests, all real: a redis-server, a PostgreSQL server, an HTTP receiver, a TCP proxy, child processes. Imported by tests
 * and benchmarks alone.
 *
 * ```ts
 * const redis = await startRedis({ appendonly: true, appendfsync: 'always' })
 * const receiver = await startReceiver()
 * receiver.script('/internal/sync', { status: 500 }, { kind: 'hang' }, { status: 200 })
 *
 * await redis.client().xadd('jobs', '*', 'url', `${receiver.url}/internal/sync`)
 * await redis.kill() // as `kill -9` would
 * await redis.restart() // same port, same data
 *
 * const [first] = await receiver.waitFor('/internal/sync', 1)
 * await eventually(async () => (await redis.client().xlen('jobs')) === 0, { what: 'the queue is empty' })
 *
 * await receiver.stop()
 * await redis.stop()
 * ```
 */
export { asyncApiFaults, followReference } from './asyncapi.ts'
export { type Certificate, type CertificateAuthority, createCertificateAuthority } from './certificate-authority.ts'
export { type ChildExit, type ChildHandle, type StartProcessOptions, startProcess } from './child-process.ts'
export { type EventuallyOptions, eventually } from './eventually.ts'
export { type FaultProxy, type FaultProxyOptions, startFaultProxy } from './fault-proxy.ts'
export { atFileEnd, endFile } from './file-end.ts'
export { freePort } from './free-port.ts'
export { headersIn } from './header-lines.ts'
export { BY, withBy } from './operator.ts'
export { type PostgresServer, startPostgres } from './postgres-server.ts'
export { STEPPED_CLOCK } from './preloads.ts'
export { type PrometheusSample, type PrometheusServer, promtool, startPrometheus } from './prometheus-server.ts'
export { type Receiver, startReceiver } from './receiver.ts'
export type { Behaviour, ReceivedRequest, ScriptedBehaviour } from './receiver-behaviour.ts'
export { type RedisCluster, type RedisClusterOptions, startRedisCluster } from './redis-cluster.ts'
export { type RedisSentinels, startRedisSentinels } from './redis-sentinels.ts'
export { type RedisServer, type RedisServerOptions, startRedis } from './redis-server.ts'
