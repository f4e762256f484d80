import { connect } from '@millrace/streams'
import { consume } from '../src/index.ts'

/** A service that consumes one queue and prints what happens to each job. What a job is to do stands in its data. */
interface Work {
  readonly n: number
  readonly workMs?: number
  /** Ends the whole process with the job in hand. */
  readonly kills?: boolean
}

const {
  TEST_REDIS = '',
  TEST_NAMESPACE = '',
  TEST_QUEUE = '',
  TEST_CONCURRENCY = '10',
  TEST_CLOSE_MS = '10000',
  /** A key in which workers count together how many handlers run. */
  TEST_GAUGE = '',
} = process.env

const counter = TEST_GAUGE === '' ? undefined : connect({ url: TEST_REDIS, role: 'test' })

const consumer = consume<Work>(
  TEST_QUEUE,
  async (job) => {
    const { n, workMs = 0, kills } = job.data
    console.log(`start ${n} ${job.id} ${job.attempt} ${job.epoch}`)
    if (counter) console.log(`running ${await counter.incr(TEST_GAUGE)}`)
    if (kills) process.kill(process.pid, 'SIGKILL')
    job.signal.addEventListener('abort', () => console.log(`abort ${n} ${job.signal.reason.message}`))
    const { promise: worked, resolve } = Promise.withResolvers<void>()
    if (workMs > 0) setTimeout(resolve, workMs)
    else resolve()
    await worked
    await counter?.decr(TEST_GAUGE)
    console.log(`end ${n}`)
    return { n }
  },
  {
    redis: TEST_REDIS,
    namespace: TEST_NAMESPACE,
    concurrency: Number(TEST_CONCURRENCY),
    leaseMs: 1000,
    closeTimeoutMs: Number(TEST_CLOSE_MS),
    onError: (error) => console.log(`error ${error.code} ${error.message}`),
  },
)
await consumer.ready
console.log('ready')
process.once('SIGTERM', async () => {
  await consumer.close()
  counter?.disconnect()
  console.log('closed')
})
