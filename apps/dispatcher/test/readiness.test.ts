import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

interface Ready {
  readonly problems?: Record<string, string>
}
const ready = () => rig.client.call<Ready>('GET', '/readyz')
const becomes = (status: number) =>
  eventually(async () => {
    const answer = await ready()
    return answer.status === status && answer
  })

describe('/readyz', () => {
  it('says that the lease cannot be renewed while Redis takes no writes, and /livez that we live', async () => {
    await becomes(200)
    const redis = rig.redis.client()
    await redis.call('CLIENT', 'PAUSE', '60000', 'WRITE')
    const { body } = await becomes(503)
    expect(Object.values(body.problems ?? {}).join()).toMatch(/has not renewed its lease for|connection is|no lease/)
    expect((await rig.client.call('GET', '/livez')).status).toBe(200)
    await redis.call('CLIENT', 'UNPAUSE')
    await becomes(200)
  })

  it('says so of a Redis whose process is stopped, though its connections stay open', async () => {
    await becomes(200)
    process.kill(rig.redis.pid, 'SIGSTOP')
    try {
      const { body } = await becomes(503)
      expect(body.problems).toMatchObject({ lease: expect.stringMatching(/has not renewed its lease for|no lease/) })
      expect((await rig.client.call('GET', '/livez')).status).toBe(200)
    } finally {
      process.kill(rig.redis.pid, 'SIGCONT')
    }
    await becomes(200)
  })

  it('names the queue that cannot be claimed from, with the error, while leases are renewed', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const address = `${namespace}/mail`
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
    const redis = rig.redis.client()
    const lane = `{p0}:q:${address}:normal`
    await redis.set(lane, 'no list')
    const { body } = await eventually(async () => {
      await redis.publish('{p0}:wake', address)
      const answer = await ready()
      return answer.status === 503 && /WRONGTYPE/.test(answer.body.problems?.lease ?? '') && answer
    })
    expect(body.problems?.lease).toContain(`has not claimed from ${address} for`)
    await redis.del(lane)
    await becomes(200)
  })

  it('stays well while a query holds Redis up for less than the lease lasts, and answers at once', async () => {
    await becomes(200)
    const slow = rig.redis
      .client()
      .eval(
        "local function ms() local t = redis.call('TIME') return t[1] * 1000 + t[2] / 1000 end local from = ms() repeat until ms() - from > 600 return 1",
        0,
      )
    let done = false
    void slow.then(() => {
      done = true
    })
    const answers = []
    while (!done) {
      const askedAt = performance.now()
      answers.push({ status: (await ready()).status, tookMs: performance.now() - askedAt })
    }
    expect(answers.filter(({ status }) => status !== 200)).toEqual([])
    expect(Math.min(...answers.map(({ tookMs }) => tookMs))).toBeLessThan(500)
  })
})
