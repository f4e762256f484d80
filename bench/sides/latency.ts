import { setTimeout as delay } from 'node:timers/promises'
import { emit, enqueue } from '@millrace/streams'
import { Pool } from 'undici'
import { type Child, startChild } from '../child.ts'
import type { Appendfsync, Context, Figure } from '../measure.ts'
import { BULLMQ_JOB, BULLMQ_QUEUE, connectBullmq } from './bullmq.ts'
import { subscribe, TYPE } from './events.ts'
import { registerService, type Store, startApp, whenReady, withStore } from './millrace.ts'

/** Between two jobs of one side: long enough that everybody sleeps when the next one comes. */
const PAUSE_MS = 20
/** The first jobs open connections and load code. */
const WARM_UP = 20

/** An idle queue with its handler in a process of its own. */
export interface LatencySide {
  /** processes/latency-worker.ts */
  readonly worker: Child
  enqueue(data: { readonly at: string }): Promise<unknown>
}

/** Microseconds, a list for each side. */
export async function sampleInTurn(sides: readonly LatencySide[], { size }: Context): Promise<number[][]> {
  const samples: number[][] = sides.map(() => [])
  for (let turn = 0; turn < WARM_UP + size(500, 20); turn++) {
    for (const [index, { worker, enqueue }] of sides.entries()) {
      await delay(PAUSE_MS)
      const started = worker.ask<number>('next')
      await enqueue({ at: String(process.hrtime.bigint()) })
      samples[index]?.push(await started)
    }
  }
  return samples.map((all) => all.slice(WARM_UP))
}

export function percentile(samples: readonly number[], percent: number): Figure {
  const sorted = [...samples].sort((a, b) => a - b)
  return { value: sorted[Math.ceil((sorted.length * percent) / 100) - 1] ?? Number.NaN }
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

/** The same, with the handler behind HTTP: a worker of BullMQ POSTs to it. */
export function withBullmqPush<T>(appendfsync: Appendfsync, use: (side: LatencySide) => Promise<T>): Promise<T> {
  return withStore(appendfsync, async ({ redis }) => {
    const worker = startChild('latency-worker.ts')
    const url = await worker.ask<string>('http')
    const sender = startChild('bullmq-push.ts')
    await sender.ask('run', { socketPath: redis.socketPath, queue: BULLMQ_QUEUE, concurrency: 100, url, path: '/' })
    const queue = connectBullmq(redis)
    await queue.waitUntilReady()
    const result = await use({ worker, enqueue: (data) => queue.add('job', data, BULLMQ_JOB) })
    await queue.close()
    await sender.stop()
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
      overHttp: { worker, enqueue: (data) => post(pool, '/jobs', { namespace: 'bench', queue: 'no-op', data }) },
    })
    await pool.destroy()
    await dispatcher.stop()
    await worker.stop()
    return result
  })
}

/** One subscription that a dispatcher delivers, and two ways to publish. */
export function withSubscription<T>(appendfsync: Appendfsync, use: (sides: PushSides) => Promise<T>): Promise<T> {
  return withStore(appendfsync, async (store) => {
    const worker = startChild('latency-worker.ts')
    await subscribe(store, { url: await worker.ask<string>('http'), matching: 1, concurrency: 100 })
    const dispatcher = await startApp(store, { name: 'dispatcher' })
    await whenReady(dispatcher)
    const pool = new Pool(dispatcher.url)
    const fact = { kind: 'event' as const, type: TYPE, namespace: 'bench', entityId: 'bench' }
    const result = await use({
      inProcess: {
        worker,
        enqueue: (data) =>
          emit(store.partition, [
            { ...fact, data: JSON.stringify({ specversion: '1.0', id: data.at, source: '/bench', type: TYPE, data }) },
          ]),
      },
      overHttp: { worker, enqueue: (data) => post(pool, '/events', { type: TYPE, data }) },
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

async function post(pool: Pool, path: string, body: unknown): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  const answer = await pool.request({ method: 'POST', path, headers, body: JSON.stringify(body) })
  if (answer.statusCode !== 202) throw new Error(`POST ${path} answered ${answer.statusCode}`)
  await answer.body.dump()
}
