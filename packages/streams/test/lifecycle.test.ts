import { parseId } from '@millrace/contracts'
import { eventually } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import {
  claim,
  closeQueue,
  enqueue,
  listDeadLetters,
  moveDue,
  openQueues,
  readCounts,
  readLogRange,
  redrive,
  restlessQueues,
  type Settlement,
  settle,
  tick,
} from '../src/index.ts'
import { ADDRESS, type Bench, useBench } from './fixture.ts'

const bench = useBench({ consumer: 'd1' })

const succeeded: Settlement = { kind: 'succeeded', status: 200, durationMs: 3 }
const retry = (delayMs: number): Settlement => ({
  kind: 'retry',
  delayMs,
  reason: 'http_status',
  durationMs: 3,
  lastResponse: { status: 500, body: 'no "luck"' },
})
const dead: Settlement = { kind: 'dead', reason: 'http_status', durationMs: 3, lastResponse: { status: 500 } }

const types = async () => (await readLogRange(bench.partition)).map((event) => event.type)
const settleOne = async (job: Awaited<ReturnType<Bench['take']>>[number], settlement: Settlement, consumer = 'd1') =>
  (await settle(bench.partition, { consumer, address: ADDRESS, attempts: [{ job, settlement }] }))[0]

describe('a job that succeeds', () => {
  it('is enqueued, started and succeeded, with the payload byte for byte', async () => {
    const data = '{"big":9007199254740993,"a":1,"a":2,"text":"\\u00e9é \\ud83d\\ude00"}'
    const id = await bench.addWith({ data })
    const [job] = await bench.take('d1')
    expect(job).toMatchObject({ id, attempt: 1, epoch: 1, data, lane: 'normal' })
    expect(await settleOne(job!, succeeded)).toBe('settled')
    expect(await types()).toEqual(['job.enqueued', 'job.started', 'job.succeeded'])
    const [counts] = await readCounts(bench.partition, [ADDRESS])
    expect(counts).toMatchObject({ accepted: 1, succeeded: 1, waiting: 0, running: 0 })
  })

  it('has an id that carries its time and partition, the same in the log and at claim', async () => {
    const [first, second] = await bench.add(1, 2)
    expect(parseId(first!)).toMatchObject({ prefix: 'job', partition: 0 })
    expect(Math.abs(parseId(first!)!.ms - Date.now())).toBeLessThan(5000)
    expect(first! < second!).toBe(true)
    expect((await readLogRange(bench.partition)).map((event) => event.entityId)).toEqual([first, second])
    expect((await bench.take('d1')).map((job) => job.id)).toEqual([first, second])
  })
})

describe('claim', () => {
  it('never goes beyond the concurrency, over any number of consumers', async () => {
    await bench.join('d2')
    await bench.add(...Array.from({ length: 20 }, (_, index) => index))
    const both = await Promise.all([
      bench.take('d1', { want: 20, concurrency: 7 }),
      bench.take('d2', { want: 20, concurrency: 7 }),
    ])
    expect(both.flat()).toHaveLength(7)
    const again = await claim(bench.partition, { consumer: 'd2', address: ADDRESS, concurrency: 7, want: 1 })
    expect(again.kind).toBe('full')
  })

  it('serves high before normal before low, and offers every sixteenth start to each lower lane', async () => {
    for (const lane of ['low', 'normal', 'high'] as const) {
      await enqueue(
        bench.partition,
        Array.from({ length: 40 }, (_, index) => ({ address: ADDRESS, lane, data: `${index}` })),
      )
    }
    const order: string[] = []
    while (order.length < 32) {
      const [job] = await bench.take('d1', { want: 1 })
      order.push(job!.lane)
      await settleOne(job!, succeeded)
    }
    expect(order.filter((lane) => lane === 'high')).toHaveLength(28)
    expect(order.filter((lane) => lane === 'normal')).toHaveLength(2)
    expect(order.filter((lane) => lane === 'low')).toHaveLength(2)
  })

  it('passes over what has expired and counts it', async () => {
    const id = await bench.addWith({ meta: { expiresAtMs: Date.now() - 1000 } })
    await bench.addWith({ data: '"alive"' })
    expect((await bench.take('d1')).map((job) => job.data)).toEqual(['"alive"'])
    const events = await readLogRange(bench.partition)
    expect(events.find((event) => event.type === 'job.expired')?.entityId).toBe(id)
  })

  it('is refused without a lease', async () => {
    await bench.add(1)
    expect(await claim(bench.partition, { consumer: 'stranger', address: ADDRESS, concurrency: 5, want: 5 })).toEqual({
      kind: 'fenced',
    })
  })

  it('is restless as soon as a job waits in it, also where the wake-up went to nobody', async () => {
    const { redis, keys } = bench.partition
    expect(await bench.take('d1')).toEqual([])
    expect(await restlessQueues(bench.partition)).toEqual([])
    // The mark is gone and the message lost: the next enqueue publishes none, and the sweep has the queue in its list.
    await redis.srem(keys.idle, ADDRESS)
    await bench.add(1)
    expect(await restlessQueues(bench.partition)).toEqual([ADDRESS])
    // A mark that is wrong lasts until the next enqueue.
    await redis.sadd(keys.idle, ADDRESS)
    expect(await restlessQueues(bench.partition)).toEqual([])
    await bench.add(2)
    expect(await restlessQueues(bench.partition)).toEqual([ADDRESS])
  })

  it('marks the queue idle, and only the first enqueue after that publishes a wake-up', async () => {
    const subscriber = bench.server.client()
    const messages: string[] = []
    subscriber.on('message', (_channel, message) => messages.push(message))
    await subscriber.subscribe(bench.partition.keys.wake)
    expect((await claim(bench.partition, { consumer: 'd1', address: ADDRESS, concurrency: 5, want: 5 })).kind).toBe(
      'empty',
    )
    await bench.add(1, 2)
    await bench.add(3)
    await eventually(() => messages.length > 0)
    expect(messages).toEqual([ADDRESS])
  })
})

describe('a failing job', () => {
  it('waits in due, comes back with the next attempt and epoch, and keeps its id and payload', async () => {
    const id = await bench.addWith({ data: '{"n":1}\n', meta: { retries: 9 } })
    const [first] = await bench.take('d1')
    await settleOne(first!, retry(0))
    expect((await moveDue(bench.partition, { limit: 10 })).moved).toBe(1)
    const [second] = await bench.take('d1')
    expect(second).toMatchObject({ id, attempt: 2, epoch: 2, data: '{"n":1}\n', meta: { retries: 9 } })
    expect(await types()).toEqual(['job.enqueued', 'job.started', 'job.attempt_failed', 'job.ready', 'job.started'])
  })

  it('is a dead letter with reason and last response, and redrives with its id and fresh attempts', async () => {
    const id = await bench.addWith({ data: '{"n":1}' })
    const [job] = await bench.take('d1')
    await settleOne(job!, dead)
    const { letters } = await listDeadLetters(bench.partition, { address: ADDRESS, limit: 10 })
    expect(letters).toMatchObject([
      { id, reason: 'http_status', attempts: 1, data: { n: 1 }, lastResponse: { status: 500 } },
    ])

    const redriven = await redrive(bench.partition, {
      address: ADDRESS,
      ids: [id, 'job_unknown'],
      limit: 10,
      who: 'ada',
    })
    expect(redriven).toEqual([id])
    expect(await redrive(bench.partition, { address: ADDRESS, ids: [id], limit: 10, who: 'ada' })).toEqual([])
    expect(await bench.take('d1')).toMatchObject([{ id, attempt: 1, epoch: 2 }])
  })

  it('redrives a whole queue in chunks, oldest first, up to the limit', async () => {
    const ids = await bench.add(...Array.from({ length: 30 }, (_, index) => index))
    for (const job of await bench.take('d1', { want: 30 })) await settleOne(job, dead)
    expect(await redrive(bench.partition, { address: ADDRESS, limit: 20, who: 'ada' })).toEqual(ids.slice(0, 20))
    expect((await listDeadLetters(bench.partition, { address: ADDRESS, limit: 100 })).letters).toHaveLength(10)
  })
})

describe('time', () => {
  it('delays by the server clock and says how long until the next', async () => {
    await bench.addWith({ due: { inMs: 60_000 } })
    const soon = await bench.addWith({ due: { inMs: 400 } })
    const { moved, nextInMs } = await moveDue(bench.partition, { limit: 10 })
    expect(moved).toBe(0)
    expect(nextInMs).toBeGreaterThan(0)
    expect(nextInMs).toBeLessThanOrEqual(400)
    await eventually(async () => (await moveDue(bench.partition, { limit: 10 })).moved === 1)
    expect(await bench.take('d1')).toMatchObject([{ id: soon, attempt: 1 }])
  })

  it('announces a new earliest due time, and only that', async () => {
    const subscriber = bench.server.client()
    const messages: string[] = []
    subscriber.on('message', (_channel, message) => messages.push(message))
    await subscriber.subscribe(bench.partition.keys.wake)
    await bench.addWith({ due: { inMs: 10_000 } })
    await bench.addWith({ due: { inMs: 20_000 } })
    await bench.addWith({ due: { inMs: 5000 } })
    await eventually(() => messages.length === 2)
    expect(messages).toEqual(['@due', '@due'])
  })
})

describe('idempotency keys', () => {
  it('give the first id again for the same body, and a conflict for another', async () => {
    const job = { address: ADDRESS, lane: 'normal' as const, data: '1', idempotency: { key: 'k', fingerprint: 'f1' } }
    const [first, second, third] = await enqueue(bench.partition, [
      job,
      job,
      { ...job, idempotency: { key: 'k', fingerprint: 'f2' } },
    ])
    expect(first!.kind).toBe('enqueued')
    expect(second).toEqual({ kind: 'replayed', id: first!.id })
    expect(third).toEqual({ kind: 'conflict', id: first!.id })
    expect((await readCounts(bench.partition, [ADDRESS]))[0]!.accepted).toBe(1)
  })

  it('make one job of many concurrent enqueues', async () => {
    const clients = Array.from({ length: 8 }, () => ({ ...bench.partition, redis: bench.server.client() }))
    const job = { address: ADDRESS, lane: 'normal' as const, data: '1', idempotency: { key: 'once', fingerprint: 'f' } }
    const results = (await Promise.all(clients.map((partition) => enqueue(partition, [job])))).flat()
    expect(results.filter((result) => result.kind === 'enqueued')).toHaveLength(1)
    expect(new Set(results.map((result) => result.id)).size).toBe(1)
  })
})

describe('a queue that is no longer declared', () => {
  it('closes when it is empty and not before', async () => {
    await bench.addWith({ due: { inMs: 0 } })
    expect(await closeQueue(bench.partition, ADDRESS)).toBe('busy')
    await moveDue(bench.partition, { limit: 1 })
    expect(await closeQueue(bench.partition, ADDRESS)).toBe('busy')
    const [job] = await bench.take('d1')
    expect(await closeQueue(bench.partition, ADDRESS)).toBe('busy')
    await settleOne(job!, succeeded)
    expect(await closeQueue(bench.partition, ADDRESS)).toBe('closed')
    expect(await closeQueue(bench.partition, ADDRESS)).toBe('unknown')
  })

  it('takes no job, no tick and no dead letter once it is closed, and all of them when it opens again', async () => {
    const id = await bench.addWith({})
    const [job] = await bench.take('d1')
    await settleOne(job!, dead)
    expect(await closeQueue(bench.partition, ADDRESS)).toBe('closed')
    const claiming = { consumer: 'd1', address: ADDRESS, concurrency: 1, want: 1 }
    expect(await claim(bench.partition, claiming), 'a claimer that has not heard of it').toEqual({ kind: 'empty' })
    const newJob = { address: ADDRESS, lane: 'normal' as const, data: '1' }
    expect(await enqueue(bench.partition, [newJob])).toEqual([{ kind: 'closed', id: '' }])
    expect(await tick(bench.partition, [{ address: ADDRESS }], { keep: 10 })).toEqual([{ kind: 'closed' }])
    const again = { address: ADDRESS, ids: [id], limit: 1, who: 'ada' }
    expect(await redrive(bench.partition, again)).toEqual([])

    await openQueues(bench.partition, [{ address: ADDRESS }])
    expect(await bench.partition.redis.sismember('{p0}:idle', ADDRESS), 'the next job is announced').toBe(1)
    expect(await enqueue(bench.partition, [newJob])).toMatchObject([{ kind: 'enqueued' }])
    expect(await redrive(bench.partition, again)).toEqual([id])
  })

  it('that takes jobs before it was ever opened counts them as waiting, and delivers them when it opens', async () => {
    const early = 'shop/early'
    await enqueue(bench.partition, [{ address: early, lane: 'normal', data: '1' }])
    expect((await readCounts(bench.partition, [early]))[0]).toMatchObject({ waiting: 1, running: 0 })
    await openQueues(bench.partition, [{ address: early }])
    const claimed = await claim(bench.partition, { consumer: 'd1', address: early, concurrency: 1, want: 1 })
    expect(claimed).toMatchObject({ kind: 'claimed', jobs: [{ data: '1' }] })
  })
})
