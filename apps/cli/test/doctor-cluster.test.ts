import { clusterServers, connect, whenReady } from '@millrace/streams'
import { eventually, type RedisCluster, startRedisCluster } from '@millrace/testkit'
import type { Redis } from 'ioredis'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { checkCluster } from '../src/doctor/cluster-checks.ts'

let cluster: RedisCluster
let redis: Redis
beforeAll(async () => {
  cluster = await startRedisCluster({
    ...{ appendonly: true, appendfsync: 'always', maxmemory: '64mb', nodeTimeoutMs: 1000 },
    settings: { 'cluster-require-full-coverage': 'no' },
  })
  redis = connect({ url: cluster.url, role: 'test' })
  await whenReady(redis, { timeoutMs: 60_000 })
})
afterAll(async () => {
  redis?.disconnect()
  await cluster?.stop()
})

const servers = async () => (await clusterServers(cluster.url)) ?? []
const examine = async () => checkCluster(redis, await servers())

it('looks at every server of a cluster, replicas too', async () => {
  const findings = await examine()
  expect(findings.filter(({ state }) => state !== 'ok')).toEqual([])
  expect(findings[0]).toMatchObject({ check: 'redis.cluster', says: '3 primaries and 3 replicas' })
  const looked = findings.filter(({ check }) => check === 'redis.eviction').map(({ says }) => says.split(':')[1])
  expect(new Set(looked.map((text) => Number(text?.split(' ')[0])))).toEqual(
    new Set(cluster.nodes.map(({ port }) => port)),
  )
  expect(findings.filter(({ check }) => check === 'redis.role')).toHaveLength(3)
})

it('names the server that would refuse everything for want of another', async () => {
  const [first] = cluster.nodes
  await first?.client().config('SET', 'cluster-require-full-coverage', 'yes')
  const bad = (await examine()).filter(({ state }) => state !== 'ok')
  expect(bad).toEqual([expect.objectContaining({ check: 'redis.coverage', state: 'warn' })])
  expect(bad[0]?.says).toContain(`127.0.0.1:${first?.port} `)
  await first?.client().config('SET', 'cluster-require-full-coverage', 'no')
})

it('names the one server that would lose jobs, and the primary that has no replica', async () => {
  const primaries = await cluster.primaries()
  const replica = cluster.nodes.find((node) => !primaries.includes(node)) as (typeof primaries)[number]
  await replica.client().config('SET', 'maxmemory-policy', 'allkeys-lru')
  const bad = (await examine()).filter(({ state }) => state === 'fail')
  expect(bad).toEqual([expect.objectContaining({ check: 'redis.eviction' })])
  expect(bad[0]?.says).toContain(`127.0.0.1:${replica.port} (replica): maxmemory-policy is allkeys-lru`)

  await replica.kill()
  // The others take a moment to call it dead.
  await eventually(async () => (await examine())[0]?.state === 'warn')
})
