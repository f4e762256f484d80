import { enqueue } from '@millrace/streams'
import { Pool } from 'undici'
import { type Child, startChild } from '../child.ts'
import type { Appendfsync } from '../measure.ts'
import { BULLMQ_JOB, BULLMQ_QUEUE, connectBullmq } from './bullmq.ts'
import { registerService, type Store, startApp, whenReady, withStore } from './millrace.ts'

/** An idle queue with its handler in a process of its own. */
export interface LatencySide {
  /** processes/latency-worker.ts */
  readonly worker: Child
  enqueue(data: { readonly at: string }): Promise<unknown>
}

export function withBullmq<T>(appendfsync: Appendfsync, use: (side: LatencySide) => Promise<T>): Promise<T> {
  return withStore(appendfsync, async ({ redis }) => {
    const worker = startChild('latency-worker.ts')
    await worker.ask('bullmq', { socketPath: redis.socketPath, queue: BULLMQ_QUEUE })
    const queue = connectBullmq(redis)
    await queue.waitUntilReady()
    const result = await use({ worker, enqueue: (data) => queue.add('job', data, BULLMQ_JOB) })
    await queue.close()
    await worker.stop()
    return result
  })
}

/** One queue that a dispatcher pushes, and two ways into it. */
export interface PushSides {
  readonly inProcess: LatencySide
  readonly overHttp: LatencySide
}

export function withPush<T>(appendfsync: Appendfsync, use: (sides: PushSides) => Promise<T>): Promise<T> {
  return withStore(appendfsync, async (store) => {
    const worker = startChild('latency-worker.ts')
    const url = await worker.ask<string>('http')
    await registerService(store, { namespace: 'bench', url, queues: ['no-op'], concurrency: 100 })
    const dispatcher = await startApp(store, { name: 'dispatcher' })
    await whenReady(dispatcher)
    const pool = new Pool(dispatcher.url)
    const result = await use({
      inProcess: { worker, enqueue: enqueueIn(store) },
      overHttp: { worker, enqueue: (data) => post(pool, { namespace: 'bench', queue: 'no-op', data }) },
    })
    await pool.destroy()
    await dispatcher.stop()
    await worker.stop()
    return result
  })
}

export function withPull<T>(appendfsync: Appendfsync, use: (side: LatencySide) => Promise<T>): Promise<T> {
  return withStore(appendfsync, async (store) => {
    const service = { namespace: 'bench', url: 'http://127.0.0.1:9', queues: ['no-op'], concurrency: 100 }
    await registerService(store, { ...service, delivery: 'pull' })
    const worker = startChild('latency-worker.ts')
    await worker.ask('pull', { socketPath: store.redis.socketPath, namespace: 'bench', queue: 'no-op' })
    const result = await use({ worker, enqueue: enqueueIn(store) })
    await worker.stop()
    return result
  })
}

function enqueueIn({ partition }: Store): LatencySide['enqueue'] {
  return (data) => enqueue(partition, [{ address: 'bench/no-op', lane: 'normal', data: JSON.stringify(data) }])
}

async function post(pool: Pool, job: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const answer = await pool.request({ method: 'POST', path: '/jobs', headers, body: JSON.stringify(job) })
  if (answer.statusCode !== 202) throw new Error(`POST /jobs answered ${answer.statusCode}`)
  await answer.body.dump()
}
