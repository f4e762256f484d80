import { type ChildHandle, eventually, freePort, startProcess, withBy } from '@millrace/testkit'
import { expect } from 'vitest'
import { startStore } from './redis.ts'

const DISPATCHER = new URL('../../apps/dispatcher/src/main.ts', import.meta.url)
const SUBSCRIBER = new URL('./subscriber.ts', import.meta.url)

interface Answer {
  readonly status: number
  // biome-ignore lint/suspicious/noExplicitAny: what a test asks of an answer is its own affair
  readonly body: any
}

/** A Redis, a dispatcher that routes, and a service `shop` that subscribes by itself. */
export async function startSubscribeRig() {
  const redis = await startStore({ appendonly: true })
  const port = await freePort()
  const url = `http://127.0.0.1:${port}`
  const dispatcher = await startProcess({
    file: DISPATCHER,
    env: { ...redis.env, MILLRACE_DISPATCHER_PORT: String(port), MILLRACE_LEASE_MS: '1500' },
    readyWhen: /dispatcher\.ready/,
  })
  const call = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const response = await fetch(url + path, {
      method,
      ...(body !== undefined && {
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(withBy(method, path, body)),
      }),
    })
    return { status: response.status, body: await response.json() }
  }
  const counts = async (group: string) => {
    const { body } = await call('GET', '/queues?namespace=shop')
    return body.queues.find(({ queue }: { queue: string }) => queue === `subscription:${group}`)
  }
  return {
    redis,
    dispatcher,
    url,
    call,
    counts,
    /** The service of a manifest with these subscriptions; without any, what `subscribe` needs. */
    async apply(subscriptions: readonly Record<string, unknown>[] = []): Promise<void> {
      const manifest = { metadata: { name: 'shop' }, spec: { subscriptions } }
      const { status, body } = await call('PUT', '/services/shop', { manifest, url: 'http://127.0.0.1:1' })
      expect(status, JSON.stringify(body)).toBe(200)
    },
    async publish(type: string, data: unknown, subject?: string): Promise<string> {
      const { status, body } = await call('POST', '/events', { type, data, ...(subject && { subject }) })
      expect(status, JSON.stringify(body)).toBe(202)
      return body.id
    },
    /** Resolves when the counts of a group are as given, and what was accepted is somewhere, once. */
    until: (group: string, wanted: Record<string, number>) =>
      eventually(
        async () => {
          expect(await counts(group)).toMatchObject(wanted)
          const { body } = await call('GET', `/queues/shop/subscription:${group}/balance`)
          expect(body.imbalance).toBe(0)
          return true
        },
        { timeoutMs: 40_000, what: `${group} to have ${JSON.stringify(wanted)}` },
      ),
    startSubscriber: (group: string, env: Record<string, string> = {}): Promise<ChildHandle> =>
      startProcess({
        file: SUBSCRIBER,
        env: { TEST_REDIS: redis.url, TEST_GROUP: group, ...env },
        readyWhen: /^ready$/,
      }),
    async stop() {
      await dispatcher.stop()
      await redis.stop()
    },
  }
}
export type SubscribeRig = Awaited<ReturnType<typeof startSubscribeRig>>
