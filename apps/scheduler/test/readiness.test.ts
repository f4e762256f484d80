import { createPartitions } from '@millrace/streams'
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

  it('stays well while one of several partitions cannot be planned, names it, and plans the others', async () => {
    const several = await startRedis()
    const { all, of } = createPartitions(several.client(), 4)
    const names = ['one', 'two', 'three', 'four', 'five', 'six', 'seven', 'eight']
    const placeOf = (name: string) => of(`spread/schedule:${name}`).number
    expect(new Set(names.map(placeOf)).size).toBe(4)
    const { scheduler, client } = await schedulerOn(several.url, { MILLRACE_PARTITIONS: '4' })
    // Where the plans of the first partition are kept nobody can write any.
    await several.client().set(all[0]?.keys.schedules as string, 'no hash')
    const schedules = names.map((name) => ({ name, cron: '0 2 * * *' }))
    await declare(several, 'spread', schedules)
    for (const name of names.filter((each) => placeOf(each) !== 0)) {
      const partition = all[placeOf(name)] as (typeof all)[number]
      await eventually(async () => (await nextOf(partition, `spread/schedule:${name}`)) > 0)
    }
    const said = await eventually(
      async () => {
        const answer = await client.call<{ degraded?: Record<string, string> }>('GET', '/readyz')
        expect(answer.status).toBe(200)
        return answer.body.degraded
      },
      { timeoutMs: 60_000 },
    )
    expect(Object.keys(said)).toEqual(['p0'])
    expect(said.p0).toMatch(/has not (planned|ticked)/)
    await scheduler.stop()
    await several.stop()
  })
})
