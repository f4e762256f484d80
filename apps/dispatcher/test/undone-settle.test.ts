import { eventually, startFaultProxy, startReceiver, startRedis } from '@millrace/testkit'
import { expect, it } from 'vitest'
import { applyTo, dispatcherOn, expectBalance, pathOf } from './fixture.ts'

/** A replica does not have to wait for others that may want the same. */
const AT_ONCE = { settings: { 'repl-diskless-sync-delay': '0' } }

// A primary may die before its replica has what it acknowledged: then the replica takes over with a job that is still in hand under the
// name of a dispatcher in the best of health, which has settled it.
it('delivers a job again whose settle a failover has undone', async () => {
  const [primary, replica, receiver] = await Promise.all([startRedis(AT_ONCE), startRedis(), startReceiver()])
  await replica.client().replicaof('127.0.0.1', primary.port)
  let targetPort = primary.port
  const proxy = await startFaultProxy({ targetPort: () => targetPort })
  // Longer than the failover takes: a lease that lapses meanwhile would hand the job over by itself.
  const { dispatcher, client } = await dispatcherOn(proxy.url, { env: { MILLRACE_LEASE_MS: '4000' } })
  try {
    const path = pathOf('shop', 'mail')
    const { promise: answered, resolve: answer } = Promise.withResolvers<void>()
    receiver.script(path, () => answered.then(() => ({ status: 200 })), { status: 200 })
    await applyTo(client, 'shop', [{ name: 'mail' }], receiver.url)
    await client.enqueue('shop', 'mail', { data: 1 })
    await receiver.waitFor(path, 1)
    const inHand = () => replica.client().hlen('{p0}:in-hand:shop/mail')
    await eventually(async () => (await inHand()) === 1)

    await replica.client().replicaof('NO', 'ONE')
    answer()
    await client.until('shop', 'mail', { succeeded: 1, running: 0 })
    expect(await inHand()).toBe(1)
    targetPort = replica.port
    await proxy.cut()
    await proxy.heal()

    await client.until('shop', 'mail', { succeeded: 1, running: 0 })
    expect(receiver.requests(path).map(({ headers }) => [headers['x-attempt'], headers['x-job-epoch']])).toEqual([
      ['1', '1'],
      ['1', '2'],
    ])
    await expectBalance(client)
  } finally {
    await dispatcher.stop()
    await proxy.stop()
    await Promise.all([primary.stop(), replica.stop(), receiver.stop()])
  }
})
