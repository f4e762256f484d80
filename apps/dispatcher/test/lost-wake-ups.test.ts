import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { addressOf, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const IDLE = '{p0}:idle'

/** A queue whose claimers found nothing, so that they wait for a wake-up. */
async function idleQueue(name: string) {
  const namespace = await rig.service([{ name }])
  const redis = rig.redis.client()
  const address = addressOf(namespace, name)
  const goesIdle = () =>
    eventually(async () => {
      expect(await redis.sismember(IDLE, address)).toBe(1)
      return true
    })
  await rig.client.enqueue(namespace, name, { data: 'first' })
  await rig.receiver.waitFor(pathOf(namespace, name), 1)
  await goesIdle()
  return { namespace, redis, address, goesIdle, path: pathOf(namespace, name) }
}

describe('a queue whose wake-up was lost', () => {
  it('is delivered by the sweep', async () => {
    const { namespace, redis, address, goesIdle, path } = await idleQueue('lost')
    // As if the enqueue that took the mark away had published to nobody.
    expect(await redis.srem(IDLE, address)).toBe(1)
    await rig.client.enqueue(namespace, 'lost', { data: 'second' })
    await rig.receiver.waitFor(path, 2)
    await goesIdle()
    redis.disconnect()
  })

  it('that was marked idle although jobs wait in it is delivered with the next enqueue', async () => {
    const { namespace, redis, address, path } = await idleQueue('marked')
    // A sweep may come between: then the job is delivered and the queue is idle again in truth.
    await redis.srem(IDLE, address)
    await rig.client.enqueue(namespace, 'marked', { data: 'second' })
    await redis.sadd(IDLE, address)
    await rig.client.enqueue(namespace, 'marked', { data: 'third' })
    await rig.receiver.waitFor(path, 3)
    redis.disconnect()
  })
})
