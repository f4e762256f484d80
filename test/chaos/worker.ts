import { consume } from '@millrace/sdk'

/** A service that pulls: it does each job by telling the service of the run about it, and fails when that does. */
const { TEST_REDIS = '', TEST_NAMESPACE = '', TEST_QUEUE = '', TEST_SERVICE = '', TEST_LEASE_MS = '' } = process.env

const consumer = consume(
  TEST_QUEUE,
  async (job) => {
    const response = await fetch(`${TEST_SERVICE}/internal/pulled`, {
      method: 'POST',
      headers: { 'webhook-id': job.id, 'x-attempt': String(job.attempt), 'x-job-epoch': String(job.epoch) },
      body: '{}',
      signal: job.signal,
    })
    if (!response.ok) throw new Error(`the service answered ${response.status}`)
  },
  {
    redis: TEST_REDIS,
    namespace: TEST_NAMESPACE,
    leaseMs: Number(TEST_LEASE_MS),
    onError: () => undefined,
  },
)
await consumer.ready
console.log('ready')
process.once('SIGTERM', () => consumer.close())
