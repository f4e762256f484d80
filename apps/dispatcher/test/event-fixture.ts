import type { Receiver } from '@millrace/testkit'
import { expect } from 'vitest'
import type { Client } from './fixture.ts'

export interface SubscriptionFields {
  readonly name: string
  readonly [field: string]: unknown
}

export function eventsPath(namespace: string, subscription: string): string {
  return `/internal/${namespace}/events/${subscription}`
}

/** Applies a service with subscriptions whose retries are soon over. */
export async function subscribeTo(
  client: Client,
  namespace: string,
  {
    subscriptions,
    url,
    spec = {},
  }: { subscriptions: readonly SubscriptionFields[]; url: string; spec?: Record<string, unknown> },
) {
  const manifest = {
    metadata: { name: namespace },
    spec: {
      ...spec,
      subscriptions: subscriptions.map((subscription) => ({
        endpoint: eventsPath(namespace, subscription.name),
        retryDelayMs: 20,
        retries: 3,
        backoff: { jitter: 0 },
        ...subscription,
      })),
    },
  }
  const { status, body } = await client.call<Record<string, unknown>>('PUT', `/services/${namespace}`, {
    body: { manifest, url },
  })
  expect(status, JSON.stringify(body)).toBe(200)
  return body
}

export interface PublishedBody {
  readonly id: string
  readonly position: string
  readonly namespace: string
  readonly deduplicated?: true
}

export async function publish(client: Client, type: string, event: Record<string, unknown> = {}) {
  const { status, body } = await client.call<PublishedBody>('POST', '/events', { body: { type, ...event } })
  expect([200, 202], JSON.stringify(body)).toContain(status)
  return body
}

/** What the data was of the events that a path got, in the order in which they came. */
export function dataAt(receiver: Receiver, path: string): unknown[] {
  return receiver.requests(path).map((request) => (request.json() as { data?: unknown }).data)
}
