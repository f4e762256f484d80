import { startLoop } from '@millrace/runtime'
import { freePort, type Receiver, withBy } from '@millrace/testkit'
import { expect } from 'vitest'
import type { Place } from '../e2e/platform.ts'

export const TRACE_ID = '4bf92f3577b34da6a3ce929d0e0e4736'
const TRACEPARENT = `00-${TRACE_ID}-00f067aa0ba902b7-01`
const EMITS = { namespace: 'shop', eventType: 'order.paid', metadata: { who: 'ada' }, data: { cents: 100 } }

/**
 * A platform at work, with a bit of everything that a panel shows: jobs that succeed, are retried and die, batches, ticks,
 * events, audit records, an endpoint that is away, and a request that is refused with 503.
 */
export async function keepBusy({ urls }: Place, receiver: Receiver): Promise<{ stop(): Promise<void> }> {
  const call = async (url: string, method: string, body?: unknown) => {
    const path = new URL(url).pathname
    const response = await fetch(url, {
      method,
      headers: { 'content-type': 'application/json', traceparent: TRACEPARENT },
      ...(body !== undefined && { body: JSON.stringify(withBy(method, path, body)) }),
    })
    return { status: response.status, body: (await response.json()) as Record<string, unknown> }
  }
  const apply = async (namespace: string, spec: object, url: string) => {
    const manifest = { apiVersion: 'backstage.io/v1alpha1', kind: 'Component', metadata: { name: namespace }, spec }
    const { status, body } = await call(`${urls.dispatcher}/services/${namespace}`, 'PUT', { manifest, url })
    expect(status, JSON.stringify(body)).toBeLessThan(300)
  }
  const enqueue = (queue: string, namespace = 'shop') =>
    call(`${urls.dispatcher}/jobs`, 'POST', { namespace, queue, data: {} })
  const queue = (name: string, more: object = {}) => ({
    ...{ name, endpoint: `/internal/jobs/${name}`, retries: 1, retryDelayMs: 50 },
    ...more,
  })

  await apply(
    'shop',
    {
      type: 'service',
      queues: [queue('mail'), queue('fails'), queue('full'), queue('batch', { batch: { maxSize: 5, maxWaitMs: 50 } })],
      schedules: [{ name: 'often', cron: '@every 1s', endpoint: '/internal/cron/often' }],
      subscriptions: [{ name: 'orders', types: ['order.placed'], endpoint: '/internal/events/orders' }],
    },
    receiver.url,
  )
  await apply('away', { type: 'service', queues: [queue('gone')] }, `http://127.0.0.1:${await freePort()}`)
  receiver.script('/internal/jobs/fails', ...Array.from({ length: 500 }, () => ({ status: 500 })))
  expect((await call(`${urls.dispatcher}/queues/shop/full/drain`, 'POST', {})).status).toBeLessThan(300)

  const round = async (n: number) => {
    await Promise.all([enqueue('mail'), enqueue('fails'), enqueue('batch'), enqueue('gone', 'away')])
    expect((await enqueue('full')).status).toBe(503)
    const published = await call(`${urls.dispatcher}/events`, 'POST', {
      ...{ namespace: 'shop', type: 'order.placed', source: '/orders', id: `${n}`, data: { n } },
    })
    expect(published.status, JSON.stringify(published.body)).toBe(202)
    await call(`${urls.audit}/v1/events/emit`, 'POST', { ...EMITS, entityId: `order-${n % 3}` })
    await call(`${urls.audit}/v1/events/order-${n % 3}/verify?namespace=shop`, 'GET')
    if (n % 5 === 4)
      await call(`${urls.dispatcher}/dead-letters/redrive`, 'POST', {
        ...{ filter: { namespace: 'shop', queue: 'fails' }, ratePerSecond: 100, limit: 2 },
      })
  }
  let n = 0
  const errors: unknown[] = []
  const loop = startLoop({
    name: 'activity',
    intervalMs: 200,
    onError: (error) => errors.push(error),
    run: () => round(n++).then(() => undefined),
  })
  return {
    async stop() {
      await loop.stop()
      expect(errors).toEqual([])
    },
  }
}
