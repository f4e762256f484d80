/** The service that a run works for: every way in which Millrace delivers, at once. */
export const NAMESPACE = 'chaos'

/** Of each queue that has jobs of producers: how many may run at once. */
export const LIMITS: Readonly<Record<string, number>> = { mail: 8, orders: 6, parcels: 6 }
export const SCHEDULES = ['a', 'b', 'c']
export const CUSTOMERS = 8

// A job may meet a dozen faults, and what dies of them is counted; it is not to die of an endpoint that fails now and then.
const patience = { retries: 20, retryDelayMs: 50, backoff: { maxDelayMs: 1000 } }

export const MANIFEST = {
  apiVersion: 'backstage.io/v1alpha1',
  kind: 'Component',
  metadata: { name: NAMESPACE },
  spec: {
    type: 'service',
    queues: [
      { name: 'mail', endpoint: '/internal/mail', concurrency: LIMITS.mail, timeoutMs: 5000, ...patience },
      { name: 'orders', endpoint: '/internal/orders', concurrency: LIMITS.orders, keyConcurrency: 1, ...patience },
      { name: 'parcels', delivery: 'pull', concurrency: LIMITS.parcels, timeoutMs: 5000, ...patience },
    ],
    schedules: SCHEDULES.map((name) => ({
      name,
      cron: '@every 1s',
      endpoint: `/internal/tick/${name}`,
      catchUp: { window: '10m', take: 'all', max: 1000 },
    })),
    subscriptions: [{ name: 'news', types: ['news.*'], endpoint: '/internal/news', concurrency: 5, ...patience }],
  },
}

/** The addresses of all its queues inside its namespace. */
export const QUEUES = [...Object.keys(LIMITS), ...SCHEDULES.map((name) => `schedule:${name}`), 'subscription:news']
