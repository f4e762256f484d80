import { idFromPosition } from '@millrace/contracts'
import { describe, expect, it } from 'vitest'
import { digitsOf, jobIdFrom } from '../src/digits.ts'
import {
  cancel,
  claim,
  findJob,
  lease,
  moveDue,
  openQueues,
  raise,
  readCounts,
  redrive,
  type Settlement,
  settle,
  settleLeased,
  takeOver,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'
import { done } from './prefetch-fixture.ts'

const bench = useBench({ consumer: 'one' })
const lane = (name: string) => bench.partition.keys.lane(ADDRESS, name)
const lanes = ['high', 'normal', 'low'] as const
const counts = async () => (await readCounts(bench.partition, [ADDRESS]))[0]
const inHand = () => bench.partition.redis.hkeys(bench.partition.keys.inHand(ADDRESS))
const policy = { retries: 0, retryDelayMs: 1, backoff: { type: 'fixed', factor: 1, maxDelayMs: 1, jitter: 0 } } as const
const by = { who: 'ann' }

const positionOf = (digits: string) =>
  `${Number.parseInt(digits.slice(0, 11), 16)}-${Number.parseInt(digits.slice(11), 16)}`

/** An element of a lane or a hand, taken apart. */
function partsOf(element: string) {
  const [, place = '', line = '', data = ''] = /^(.{16})(?:@([^\n]*)\n)?(.*)$/s.exec(element) ?? []
  const body = line === '' ? { job: '', attempt: 0, epoch: 0, meta: '' } : JSON.parse(line)
  return { place, data, ...body } as {
    place: string
    data: string
    job: string
    attempt: number
    epoch: number
    meta: string
  }
}

/** What layout 4 had of this: lanes are streams, and what is named by the digits of its job is named by its entry there. */
async function asLayout4(): Promise<void> {
  const { redis, keys } = bench.partition
  const entries = new Map<string, string>()
  const note = (address: string, name: string, { job, place }: { job: string; place: string }) => {
    const digits = job === '' ? place : digitsOf(job)
    entries.set(`${address} ${name} ${digits}`, positionOf(place))
    return positionOf(place)
  }
  for (const name of lanes) {
    const elements = (await redis.lrange(lane(name), 0, -1)).map(partsOf)
    await redis.del(lane(name))
    for (const parts of elements) {
      const { job, attempt, epoch, meta, data } = parts
      const said = ['job', job, 'attempt', String(attempt), 'epoch', String(epoch), 'meta', meta]
      const fields = job !== '' || epoch > 0 ? said : meta === '' ? [] : ['meta', meta]
      await redis.xadd(lane(name), note(ADDRESS, name, parts), ...fields, 'data', data)
    }
  }
  for (const [field, element] of Object.entries(await redis.hgetall(keys.inHand(ADDRESS)))) {
    const [, name = '', holder = ''] = field.split(' ')
    await redis.hdel(keys.inHand(ADDRESS), field)
    await redis.hset(
      keys.inHand(ADDRESS),
      `${note(ADDRESS, name, partsOf(element))} ${name} ${holder}`,
      element.slice(16),
    )
  }
  for (const name of lanes) {
    for (const [digits, payload] of Object.entries(await redis.hgetall(keys.large(ADDRESS, name)))) {
      await redis.hdel(keys.large(ADDRESS, name), digits)
      await redis.hset(keys.large(ADDRESS, name), entries.get(`${ADDRESS} ${name} ${digits}`) ?? '', payload)
    }
  }
  for (const [id, note] of Object.entries(await redis.hgetall('{p0}:places'))) {
    const [kind, address, name, place = ''] = note.split(' ')
    if (kind === 'lane') await redis.hset('{p0}:places', id, `lane ${address} ${name} ${positionOf(place)}`)
  }
  await redis.set('{p0}:layout', 4)
}

/** What layout 2 had of it: lanes have a group, and what is claimed stays in them, pending. */
async function asLayout2(): Promise<void> {
  await asLayout4()
  await bench.partition.redis.set('{p0}:layout', 2)
  for (const name of lanes) await bench.partition.redis.xgroup('CREATE', lane(name), 'dispatch', '0', 'MKSTREAM')
}
async function claimAsLayout2(consumer: string, name: (typeof lanes)[number], count: number): Promise<string[]> {
  const { redis } = bench.partition
  const from = ['STREAMS', lane(name), '>'] as const
  const [[, entries]] = (await redis.xreadgroup('GROUP', 'dispatch', consumer, 'COUNT', count, ...from)) as [
    [string, [string, string[]][]],
  ]
  return entries.map(([id]) => id)
}
const toWorker = (entry: string) =>
  bench.partition.redis.xclaim(lane('normal'), 'dispatch', '@leased', 0, entry, 'JUSTID')

/** All that has the name or the place of a job. */
async function everything() {
  const { redis, keys } = bench.partition
  const ofLanes = lanes.map(async (name) => [
    await redis.lrange(lane(name), 0, -1),
    await redis.hgetall(keys.large(ADDRESS, name)),
  ])
  return [
    await Promise.all(ofLanes),
    await redis.hgetall(keys.inHand(ADDRESS)),
    await redis.hgetall('{p0}:places'),
    await counts(),
  ]
}

describe('a partition that layout 4 has left', () => {
  const large = `"${'x'.repeat(1800)}"`
  const failure = { reason: 'network', durationMs: 1, lastResponse: {} } as const
  const settleAs = (jobs: Awaited<ReturnType<typeof bench.take>>, settlement: Settlement) =>
    settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts: jobs.map((job) => ({ job, settlement })) })

  it('has all its jobs where they were, with all that they had, and they are found, cancelled, delivered and settled', async () => {
    const meta = { traceparent: 'tp', expiresAtMs: Date.now() + 60_000 }
    const add = async (data: string, more = {}) => {
      const [name, ...rest] = [await bench.addWith({ data, ...more })]
      expect(rest).toEqual([])
      return name ?? ''
    }
    // Retried, redriven, plain, with more to say of it, in several lanes, small and large, waiting and in hand.
    await add('"retried"')
    await add(large)
    await settleAs(await bench.take('one'), { kind: 'retry', delayMs: 0, ...failure })
    await add('"dead"', { lane: 'high' })
    await settleAs(await bench.take('one', { want: 1 }), { kind: 'dead', ...failure })
    await add('"held"')
    await add(large, { lane: 'low', meta })
    await moveDue(bench.partition, { limit: 10 })
    const taken = await bench.take('one', { want: 3 })
    expect(taken).toHaveLength(3)
    await redrive(bench.partition, { address: ADDRESS, limit: 10, who: 'ann' })
    const ids = [await add('"plain"'), await add(large), await add('"@\\n&"', { lane: 'high', meta })]
    const before = await everything()
    await asLayout4()
    expect(await everything().catch((error: Error) => error.message)).toMatch(/WRONGTYPE/)

    const waiting = before[3] as { waiting: number }
    expect([await raise(bench.partition), await raise(bench.partition)]).toEqual([waiting.waiting + 3, 0])
    expect(await everything()).toEqual(before)
    expect(await findJob(bench.partition, ids[1] ?? '')).toMatchObject({ state: 'waiting', lane: 'normal' })
    expect(await cancel(bench.partition, { id: ids[0] ?? '', by })).toMatchObject({ kind: 'cancelled' })
    expect(await settleAs(taken, done)).toEqual(['settled', 'settled', 'settled'])
    const rest = await bench.take('one')
    expect(rest.map(({ data }) => data)).toContain(large)
    expect(rest.map(({ id }) => id)).not.toContain(ids[0])
    expect(new Set(await settleAs(rest, done))).toEqual(new Set(['settled']))
    expect(await counts()).toMatchObject({ waiting: 0, running: 0, cancelled: 1 })
  })

  it('gives new jobs places behind those that a lane had named itself', async () => {
    const { redis, keys } = bench.partition
    const [id = ''] = await bench.add('first')
    const ahead = `${Date.now() + 60_000}-0`
    const [element = ''] = await redis.lrange(lane('normal'), 0, -1)
    await redis.del(lane('normal'))
    await redis.xadd(lane('normal'), ahead, 'job', id, 'attempt', 0, 'epoch', 0, 'meta', '', 'data', element.slice(16))
    await redis.hset('{p0}:places', id, `lane ${ADDRESS} normal ${ahead}`)
    await redis.set('{p0}:layout', 4)
    expect(await raise(bench.partition)).toBe(1)
    const later = await bench.add('second', 'third')
    const places = (await redis.lrange(lane('normal'), 0, -1)).map((each) => each.slice(0, 16))
    expect(places).toEqual([digitsOf(idFromPosition('job', ahead, 0)), ...later.map(digitsOf)])
    expect(places).toEqual(places.toSorted())
    for (const [index, each] of [id, ...later].entries())
      expect(await findJob(bench.partition, each)).toMatchObject({ state: 'waiting', ahead: index })
    expect(await redis.exists(keys.log)).toBe(1)
  })

  it('has what a queue got before anybody opened it, from when somebody does', async () => {
    const { redis, keys, hex } = bench.partition
    const address = 'shop/unheard'
    await redis.xadd(keys.lane(address, 'low'), '1767225600000-4', 'meta', '{"traceparent":"tp"}', 'data', large)
    await redis.hincrby(keys.counts(address), 'accepted', 1)
    await redis.set('{p0}:layout', 4)
    expect(await raise(bench.partition)).toBe(0)
    await openQueues(bench.partition, [{ address }])
    const claimed = await claim(bench.partition, { consumer: 'one', address, concurrency: 1, want: 1 })
    const id = jobIdFrom(digitsOf(idFromPosition('job', '1767225600000-4', 0)), hex)
    expect(claimed).toMatchObject({ jobs: [{ id, lane: 'low', data: large, meta: { traceparent: 'tp' } }] })
  })

  it('has the jobs that workers hold end by their word', async () => {
    const [id = ''] = await bench.add('a')
    const [job] = await bench.take('one')
    const leased = { kind: 'leased', leaseMs: 60_000, token: 't', durationMs: 1, policy } as const
    await settleAs([job!], leased)
    await asLayout4()
    expect(await inHand()).toEqual([`${positionOf(digitsOf(id))} normal @leased`])
    expect(await raise(bench.partition)).toBe(1)
    const of = { address: ADDRESS, attempt: 1, epoch: 1, policy }
    const word = { kind: 'succeeded' } as const
    expect(await settleLeased(bench.partition, { id, token: 't', leased: of, word })).toBe('settled')
  })
})

describe('a partition that layout 2 has left', () => {
  it('has what ran in hand and what waited in its lanes, once, however often it is raised', async () => {
    const ids = await bench.add(1, 2, 3)
    const urgent = await bench.addWith({ lane: 'high', data: '4', meta: { expiresAtMs: Date.now() + 60_000 } })
    await asLayout2()
    await claimAsLayout2('one', 'normal', 2)
    await claimAsLayout2('one', 'high', 1)
    await bench.partition.redis.sadd('{p0}:robbed', 'one')

    expect([await raise(bench.partition), await raise(bench.partition)]).toEqual([4, 0])
    expect(await counts()).toMatchObject({ running: 3, waiting: 1 })
    for (const id of [urgent, ids[0], ids[1]]) {
      expect(await findJob(bench.partition, id ?? '')).toMatchObject({ state: 'running', consumer: 'one' })
    }
    expect((await bench.take('one')).map(({ id }) => id)).toEqual([ids[2]])
    for (const name of lanes) expect(await bench.partition.redis.exists(lane(name)), name).toBe(0)
    expect(await bench.partition.redis.exists('{p0}:robbed')).toBe(0)
  })

  it('has what a dispatcher left taken over with the epochs that it had, and buried when that happened too often', async () => {
    const [once = '', often = ''] = await bench.add(1, 2)
    await asLayout2()
    const [, second = ''] = await claimAsLayout2('gone', 'normal', 2)
    await bench.partition.redis.xclaim(lane('normal'), 'dispatch', 'gone', 0, second)
    await bench.partition.redis.xclaim(lane('normal'), 'dispatch', 'gone', 0, second)
    expect(await raise(bench.partition)).toBe(2)
    expect((await inHand()).toSorted()).toEqual([`${digitsOf(once)} normal gone`, `${digitsOf(often)} normal gone`])

    await bench.partition.redis.zadd(bench.partition.keys.consumers, '0', 'gone')
    const ended: string[] = []
    const taken = await takeOver(bench.partition, { consumer: 'one', limit: 10, onEnded: ({ id }) => ended.push(id) })
    expect(taken.map(({ id, attempt, epoch, data }) => [id, attempt, epoch, data])).toEqual([[once, 1, 2, '1']])
    expect(ended).toEqual([often])
    const attempts = taken.map((job) => ({ job, settlement: done }))
    expect(await settle(bench.partition, { consumer: 'one', address: ADDRESS, attempts })).toEqual(['settled'])
    expect(await counts()).toMatchObject({ succeeded: 1, dead: 1, running: 0 })
  })

  it('has the jobs that workers hold end by their word, and be taken over without one', async () => {
    const [kept = '', silent = ''] = await bench.add(1, 2)
    await asLayout2()
    const entries = await claimAsLayout2('one', 'normal', 2)
    const { redis } = bench.partition
    for (const [index, id] of [kept, silent].entries()) {
      const entry = entries[index] ?? ''
      await toWorker(entry)
      const record = {
        address: ADDRESS,
        lane: 'normal',
        entry,
        attempt: 1,
        epoch: 1,
        token: 't',
        policy: JSON.stringify(policy),
      }
      await redis.hset('{p0}:leased', id, JSON.stringify(record))
      await redis.zadd('{p0}:due', id === silent ? 1 : Date.now() + 60_000, `lease:${id}`)
    }
    expect(await raise(bench.partition)).toBe(2)
    const leased = { address: ADDRESS, attempt: 1, epoch: 1, policy }
    const word = { kind: 'succeeded' } as const
    expect(await settleLeased(bench.partition, { id: kept, token: 't', leased, word })).toBe('settled')
    await moveDue(bench.partition, { limit: 10 })
    const [job] = await takeOver(bench.partition, { consumer: 'one', limit: 10 })
    expect(job).toMatchObject({ id: silent, epoch: 2 })
    expect(await counts()).toMatchObject({ succeeded: 1, running: 1 })
  })

  it('has the prefetched jobs of a dispatcher as that', async () => {
    await bench.add(1, 2, 3)
    await asLayout2()
    await claimAsLayout2('one', 'normal', 3)
    await bench.partition.redis.hset(`{p0}:prefetched:${ADDRESS}`, 'one', 2)
    expect(await raise(bench.partition)).toBe(3)
    expect(await counts()).toMatchObject({ running: 1, waiting: 2 })
    await lease(bench.partition, { action: 'leave', consumer: 'one' })
    await bench.join('two')
    const taken = await takeOver(bench.partition, { consumer: 'two', limit: 10 })
    expect(taken.map(({ prefetched }) => prefetched)).toEqual([false, true, true])
  })
})
