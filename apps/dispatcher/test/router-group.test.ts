import { createPartitions, LOG_READERS, type Partition, readRouted, trimLog } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataAt, eventsPath, publish, subscribeTo } from './event-fixture.ts'
import { dispatcherOn, type Rig, startRig } from './fixture.ts'

let rig: Rig
let partition: Partition
const path = eventsPath('group', 'all')
beforeAll(async () => {
  rig = await startRig()
  partition = createPartitions(rig.redis.client(), 1).of('')
  await subscribeTo(rig.client, 'group', {
    subscriptions: [{ name: 'all', types: ['group.*'], keyConcurrency: 1 }],
    url: rig.receiver.url,
  })
})
afterAll(async () => {
  partition.redis.disconnect()
  await rig.stop()
})

const destroy = () => partition.redis.xgroup('DESTROY', partition.keys.log, LOG_READERS.router)
const send = (data: number) => publish(rig.client, 'group.sent', { subject: 'one', data })
const numbers = (count: number) => Array.from({ length: count }, (_, index) => index)

/** The position of the router's group; undefined while there is none. */
async function mark(): Promise<string | undefined> {
  const groups = (await partition.redis.xinfo('GROUPS', partition.keys.log)) as (string | number)[][]
  const group = groups.find((fields) => fields[1] === LOG_READERS.router)
  return group && String(group[group.indexOf('last-delivered-id') + 1])
}

describe('the group of the router, destroyed', () => {
  it('in the middle of routing, is made again where the router is, and each event is one job', async () => {
    for (const data of numbers(40)) {
      await send(data)
      if (data % 8 === 0) await destroy()
    }
    await rig.receiver.waitFor(path, 40)
    await eventually(async () => (await mark()) !== undefined)
    expect(dataAt(rig.receiver, path)).toEqual(numbers(40))
    expect(await rig.client.counts('group', 'subscription:all')).toMatchObject({ accepted: 40 })
  })

  it('while nothing comes, is made again by itself', async () => {
    await eventually(async () => (await mark()) !== undefined)
    await destroy()
    await eventually(async () => (await mark()) !== undefined)
    expect(dataAt(rig.receiver, path)).toEqual(numbers(40))
  })

  it('while no dispatcher is there, keeps the log from being trimmed, and is made again from the stored cursor', async () => {
    const audit = (position: string) =>
      partition.redis.xgroup('CREATE', partition.keys.log, LOG_READERS.audit, position)
    await rig.dispatcher.stop()
    const event = (data: number) => ({
      specversion: '1.0',
      id: `late-${data}`,
      source: '/t',
      type: 'group.sent',
      subject: 'one',
      data,
    })
    for (const data of [40, 41, 42]) {
      const fields = ['event', 'group.sent', 'default', '', 'one', JSON.stringify(event(data))]
      await partition.redis.xadd(partition.keys.log, '*', ...fields)
    }
    await destroy()
    await audit('$')
    expect(await trimLog(partition, { keep: 1, readers: Object.values(LOG_READERS) })).toBe(0)
    const stored = (await readRouted(partition)).get(0)?.position
    const next = await dispatcherOn(rig.redis.url)
    await rig.receiver.waitFor(path, 43)
    expect(dataAt(rig.receiver, path)).toEqual(numbers(43))
    const made = Number((await mark())?.split('-')[0])
    expect(made).toBeGreaterThanOrEqual(Number(stored?.split('-')[0]) - 1)
    await next.dispatcher.stop()
  })
})
