import { isLoopback } from '@millrace/runtime'
import { connect, type NamedServer, whenReady } from '@millrace/streams'
import type { Redis } from 'ioredis'
import { type Finding, fail, ok, warn } from './finding.ts'
import { checkServer } from './redis-checks.ts'

const SERVER_TIMEOUT_MS = 5000

/** Whether a cluster serves all of its slots and survives the loss of a node, and what each of its servers is. */
export async function checkCluster(redis: Redis, servers: readonly NamedServer[]): Promise<Finding[]> {
  const found = await Promise.all(servers.map(checkOne))
  return [await health(redis, servers), ...found.flat()]
}

async function health(redis: Redis, servers: readonly NamedServer[]): Promise<Finding> {
  const check = 'redis.cluster'
  const info = String(await redis.cluster('INFO'))
  const [primaries, replicas] = (['primary', 'replica'] as const).map(
    (role) => servers.filter((server) => server.role === role).length,
  ) as [number, number]
  const says = `${primaries} primaries and ${replicas} replicas`
  if (!/^cluster_state:ok/m.test(info)) {
    const served = /^cluster_slots_ok:(\d+)/m.exec(info)?.[1] ?? 'not all'
    const fix = 'redis-cli --cluster check <host:port> says which slots have no server; start its nodes.'
    return fail(check, `${says}; ${served} of 16384 slots are served`, fix)
  }
  if (replicas < primaries) {
    const fix = 'Give each primary a replica: redis-cli --cluster add-node <new> <any> --cluster-slave.'
    return warn(check, `${says}: the loss of a primary without one stops its partitions`, fix)
  }
  return ok(check, says)
}

/** With Redis's own setting a primary without a replica takes all others down with it. */
async function coverage(redis: Redis): Promise<Finding> {
  const check = 'redis.coverage'
  const [, setting] = (await redis.config('GET', 'cluster-require-full-coverage')) as string[]
  if (setting !== 'yes') return ok(check, 'goes on while slots of others have no server')
  const fix = 'CONFIG SET cluster-require-full-coverage no, and the same in redis.conf.'
  return warn(check, 'takes nothing at all while any slot of the cluster has no server', fix)
}

async function checkOne(server: NamedServer): Promise<Finding[]> {
  const name = `${server.host}:${server.port}`
  const redis = connect({ url: server.url, role: 'doctor' })
  try {
    await whenReady(redis, { timeoutMs: SERVER_TIMEOUT_MS })
    const findings = await checkServer(redis, { isLocal: isLoopback(server.host), role: server.role })
    return [...findings, await coverage(redis)].map((finding) => ({
      ...finding,
      says: `${name} (${server.role}): ${finding.says}`,
    }))
  } catch (error) {
    return [fail('redis', `${name} (${server.role}): ${(error as Error).message}`, 'Start this node.')]
  } finally {
    redis.disconnect()
  }
}
