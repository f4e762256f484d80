import { describe, expect, it } from 'vitest'
import {
  advanceRedrive,
  closeQueue,
  discard,
  findDeadLetters,
  type Limits,
  listDeadLetters,
  newestDeadLetter,
  openQueues,
  readCounts,
  readLogRange,
  readRedrive,
  redrive,
  runningRedrives,
  settle,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

const bench = useBench({ consumer: 'd1' })

const by = { who: 'ada', why: 'mended' }
const counts = async () => (await readCounts(bench.partition, [ADDRESS]))[0]!
const eventsOf = async (entityId: string) =>
  (await readLogRange(bench.partition)).filter((event) => event.entityId === entityId)

async function buryAll() {
  const jobs = await bench.take('d1', { want: 100 })
  const settlement = { kind: 'dead', reason: 'http_status', durationMs: 1, lastResponse: { status: 500 } } as const
  await settle(bench.partition, {
    consumer: 'd1',
    address: ADDRESS,
    attempts: jobs.map((job) => ({ job, settlement })),
  })
}
async function bury(count: number): Promise<string[]> {
  const ids = await bench.add(...Array.from({ length: count }, (_, n) => n))
  await buryAll()
  return ids
}
const step = (from: string | undefined, to: string, ids: readonly string[] = [], running = true) =>
  advanceRedrive(bench.partition, { id: 'r1', address: ADDRESS, ...(from && { from }), to, running, ids, by })

describe('dead letters', () => {
  it('are found by their ids, whatever else is asked for', async () => {
    const ids = await bury(2)
    const found = await findDeadLetters(bench.partition, [ids[1]!, 'job_unknown', ids[0]!])
    expect(found.map((letter) => letter?.id)).toEqual([ids[1], undefined, ids[0]])
    expect(await findDeadLetters(bench.partition, [])).toEqual([])
  })

  it('are listed between two times of death and up to a mark', async () => {
    await bury(1)
    await bury(1)
    const { letters } = await listDeadLetters(bench.partition, { address: ADDRESS, limit: 9 })
    const [first, second] = letters.map(({ entryId }) => entryId)
    const list = async (range: object) =>
      (await listDeadLetters(bench.partition, { address: ADDRESS, limit: 9, ...range })).letters.map((l) => l.entryId)
    const ms = (entryId: string | undefined) => Number(entryId?.split('-')[0])
    expect(await newestDeadLetter(bench.partition, ADDRESS)).toBe(second)
    expect(await list({ upTo: first })).toEqual([first])
    expect(await list({ after: first })).toEqual([second])
    expect(await list({ sinceMs: ms(second) + 1 })).toEqual([])
    expect(await list({ untilMs: ms(first) })).toEqual([])
    expect(await list({ sinceMs: ms(first), untilMs: ms(second) + 1 })).toEqual([first, second])
    expect(await list({ sinceMs: 0, after: first, untilMs: ms(second) + 1, upTo: second })).toEqual([second])
  })
})

describe('discard', () => {
  it('removes letters for good, says who and why, and keeps the job counted as dead', async () => {
    const [id, other] = await bury(2)
    expect(await discard(bench.partition, { address: ADDRESS, ids: [id!, id!, 'job_unknown'], by })).toEqual([id])
    expect(await counts()).toMatchObject({ dead: 2, discarded: 1 })
    expect((await eventsOf(id!)).at(-1)).toMatchObject({ type: 'job.discarded', data: JSON.stringify(by) })
    expect(await redrive(bench.partition, { address: ADDRESS, limit: 9, who: 'ada' })).toEqual([other])
    expect(await discard(bench.partition, { address: ADDRESS, ids: [], by })).toEqual([])
  })

  it('takes no letter of another queue', async () => {
    const [id] = await bury(1)
    expect(await discard(bench.partition, { address: 'shop/print', ids: [id!], by })).toEqual([])
  })

  it('lets a key go on that the letter blocked', async () => {
    const limits: Limits = { keyConcurrency: 1, onDead: 'block' }
    await openQueues(bench.partition, [{ address: ADDRESS, limits }])
    const [dead, next] = [
      await bench.addWith({ meta: { key: 'k' } }),
      await bench.addWith({ meta: { key: 'k' }, data: '2' }),
    ]
    await buryAll()
    expect(await bench.take('d1')).toEqual([])
    await discard(bench.partition, { address: ADDRESS, ids: [dead], by })
    expect((await bench.take('d1')).map(({ id }) => id)).toEqual([next])
  })
})

describe('a redrive', () => {
  it('moves its letters with its state, or neither', async () => {
    const ids = await bury(3)
    expect(await step(undefined, 'a')).toEqual({ kind: 'advanced' })
    expect(await step(undefined, 'z')).toEqual({ kind: 'conflict', state: 'a' })
    expect(await step('a', 'b', [ids[0]!])).toEqual({ kind: 'advanced' })
    expect(await step('a', 'b', [ids[1]!]), 'the same step once more').toEqual({ kind: 'conflict', state: 'b' })
    expect(await step('b', 'c', [ids[0]!, ids[1]!])).toEqual({ kind: 'gone', ids: [ids[0]] })
    expect(await readRedrive(bench.partition, 'r1')).toBe('b')
    expect(await counts()).toMatchObject({ dead: 2, waiting: 1 })
    expect((await eventsOf(ids[0]!)).at(-1)).toMatchObject({
      type: 'job.redriven',
      data: JSON.stringify({ ...by, redriveId: 'r1' }),
    })
    expect(await runningRedrives(bench.partition)).toEqual(['r1'])
    expect(await step('b', 'c', [], false)).toEqual({ kind: 'advanced' })
    expect(await runningRedrives(bench.partition)).toEqual([])
  })

  it('does not begin from a state that it never was in', async () => {
    expect(await step('a', 'b')).toEqual({ kind: 'conflict' })
  })

  it('puts nothing back into a queue that is closed', async () => {
    const ids = await bury(1)
    await closeQueue(bench.partition, ADDRESS)
    expect(await step(undefined, 'a', ids)).toEqual({ kind: 'closed' })
    expect(await step(undefined, 'a'), 'but may be told so').toEqual({ kind: 'advanced' })
  })

  it('is forgotten long after its end, at the end of another', async () => {
    await step(undefined, 'a', [], false)
    await bench.partition.redis.zadd(bench.partition.keys.redriveEnds, 1, 'r1')
    await advanceRedrive(bench.partition, { id: 'r2', address: ADDRESS, to: 'a', running: true, by })
    expect(await readRedrive(bench.partition, 'r1'), 'not at a beginning').toBe('a')
    await advanceRedrive(bench.partition, { id: 'r2', address: ADDRESS, from: 'a', to: 'b', running: false, by })
    expect(await readRedrive(bench.partition, 'r1')).toBeUndefined()
    expect(await readRedrive(bench.partition, 'r2')).toBe('b')
  })
})
