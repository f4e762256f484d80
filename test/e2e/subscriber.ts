import { NoRetry, type ReceivedEvent, subscribe } from '@millrace/sdk'

/** A service that subscribes and prints what happens to each event. What is to be done with one stands in its data. */
interface Work {
  readonly n: number
  readonly workMs?: number
  readonly fails?: boolean
}

const { TEST_REDIS = '', TEST_GROUP = '', TEST_CONCURRENCY = '5', TEST_FIELDS = '{}' } = process.env

const subscriber = subscribe<Work>(
  TEST_GROUP,
  { types: ['work.*'], retryDelayMs: 20, concurrency: 20, ...JSON.parse(TEST_FIELDS) },
  async (event: ReceivedEvent<Work>, job) => {
    const { n, workMs = 0, fails } = event.data as Work
    console.log(`start ${n} ${job.id} ${job.attempt} ${job.epoch}`)
    const { promise: worked, resolve } = Promise.withResolvers<void>()
    if (workMs > 0) setTimeout(resolve, workMs)
    else resolve()
    await worked
    if (fails) throw new NoRetry(`no ${n}`)
    console.log(`end ${n}`)
  },
  {
    redis: TEST_REDIS,
    namespace: 'shop',
    concurrency: Number(TEST_CONCURRENCY),
    leaseMs: 1000,
    onError: (error) => console.log(`error ${error.code} ${error.message}`),
  },
)
await subscriber.ready
console.log('ready')
process.once('SIGTERM', () => subscriber.close())
