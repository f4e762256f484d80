import { eventually, type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { declare, makeDue, nextOf, partitionOf, schedulerOn } from './fixture.ts'

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())

describe('/readyz', () => {
  it('says that nothing ticks while Redis takes no writes: what is due could not be fired', async () => {
    await declare(redis, 'paused', [{ name: 'nightly', cron: '0 2 * * *' }])
    const { scheduler, client } = await schedulerOn(redis.url)
    const becomes = (status: number) =>
      eventually(
        async () => {
          const answer = await client.call<{ problems?: Record<string, string> }>('GET', '/readyz')
          return answer.status === status && answer.body
        },
        { timeoutMs: 40_000 },
      )
    await becomes(200)
    const partition = partitionOf(redis)
    await eventually(async () => (await nextOf(partition, 'paused/schedule:nightly')) > 0)
    await makeDue(partition, 'paused/schedule:nightly', Date.now() + 500)
    await redis.client().call('CLIENT', 'PAUSE', '60000', 'WRITE')
    const said = await eventually(
      async () => {
        const { problems } = await becomes(503)
        return problems?.ticker
      },
      { timeoutMs: 40_000 },
    )
    expect(said).toMatch(/^has not ticked in partition 0 for \d+\.\d s/)
    expect((await client.call('GET', '/livez')).status).toBe(200)
    await redis.client().call('CLIENT', 'UNPAUSE')
    await becomes(200)
    await scheduler.stop()
  })
})
