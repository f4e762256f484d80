import { afterAll, beforeAll, expect, it } from 'vitest'
import { eventually, type RedisCluster, type RedisServer, startRedisCluster } from '../src/index.ts'

let cluster: RedisCluster
beforeAll(async () => {
  cluster = await startRedisCluster({ nodeTimeoutMs: 1000, proxied: true })
})
afterAll(() => cluster?.stop())

const infoOf = (node: RedisServer) => node.client().info('replication')

it('is known to clients by its proxies, and a cut one is cut off from its replica and from nobody else', async () => {
  const primaries = await cluster.primaries()
  const [primary] = primaries as [RedisServer]
  const named = (await primary.client().cluster('SLOTS')).flatMap(([, , ...nodes]) => nodes.map(([, port]) => port))
  expect(named.toSorted()).toEqual(cluster.nodes.map((node) => cluster.proxyOf(node).port).toSorted())

  const { port } = cluster.proxyOf(primary)
  const roles = await Promise.all(cluster.nodes.map(async (node) => ({ node, info: await infoOf(node) })))
  const replica = roles.find(({ info }) => info.includes(`master_port:${port}\r`))?.node as RedisServer
  await cluster.proxyOf(primary).cut()
  await eventually(async () => (await infoOf(replica)).includes('master_link_status:down'))
  // Past the time after which a node that is silent is taken for dead.
  await eventually(async () => (await linkDownS(replica)) >= 3)
  expect(String(await replica.client().cluster('INFO'))).toContain('cluster_state:ok')
  expect(await cluster.primaries()).toEqual(primaries)
  await cluster.proxyOf(primary).heal()
  await cluster.untilJoined()
  expect(await infoOf(replica)).toContain('master_link_status:up')
})

async function linkDownS(replica: RedisServer): Promise<number> {
  return Number(/^master_link_down_since_seconds:(\d+)/m.exec(await infoOf(replica))?.[1] ?? 0)
}
