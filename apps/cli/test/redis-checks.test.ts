import { rmSync } from 'node:fs'
import { eventually, startRedis } from '@millrace/testkit'
import { expect, it } from 'vitest'
import { checkRedis } from '../src/doctor/redis-checks.ts'

it('finds keys that were evicted before the policy was right, and a disk that takes no writes', async () => {
  const server = await startRedis({ maxmemory: '3mb', maxmemoryPolicy: 'allkeys-lru' })
  const redis = server.client()
  const found = async (check: string) => {
    const findings = await checkRedis(redis, { isLocal: true })
    return findings.find((finding) => finding.check === check)
  }
  for (let n = 0; n < 60; n++) await redis.set(`key-${n}`, 'x'.repeat(100_000))
  await redis.config('SET', 'maxmemory-policy', 'noeviction')
  await redis.config('SET', 'maxmemory', '64mb')
  expect(await found('redis.eviction')).toMatchObject({
    ...{ state: 'fail', says: expect.stringMatching(/^\d+ keys were evicted/) },
    fix: expect.stringContaining('/balance'),
  })

  expect(await found('redis.disk')).toMatchObject({ state: 'ok' })
  const [, folder = ''] = (await redis.config('GET', 'dir')) as string[]
  rmSync(folder, { recursive: true })
  await redis.bgsave()
  await eventually(async () => /rdb_last_bgsave_status:err/.test(await redis.info('persistence')))
  expect(await found('redis.disk')).toMatchObject({
    ...{ state: 'fail', says: 'could not write: rdb_last_bgsave_status' },
  })
  await server.stop()
})
