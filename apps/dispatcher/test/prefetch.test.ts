import { DISPATCHER_METRICS, manifestQueueSchema } from '@millrace/contracts'
import { type AttemptMaker, type Consumer, createQueueRunner, joinPartition } from '@millrace/delivery'
import { createLogger, createMetrics, systemClock } from '@millrace/runtime'
import {
  type ClaimedJob,
  cancel,
  claim,
  enqueue,
  openQueues,
  pause,
  readCounts,
  type Settlement,
  settle,
} from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createQueueReport } from '../src/delivery/queue-report.ts'
import { LIMIT, usePrefetchRig } from './prefetch-fixture.ts'

const logger = createLogger({ app: 'test', level: 'silent' })
const setup = usePrefetchRig()
const { prefetchedOf, failuresIn } = setup

describe('a runner that has prefetched jobs', () => {
  const done: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }
  const cancelled: Settlement = {
    ...{ kind: 'cancelled', reason: 'cancelled', durationMs: 1, lastResponse: { error: 'the job was cancelled' } },
  }

  let consumer: Consumer
  beforeAll(async () => {
    const on = { onReconnect: () => undefined, onEnd: () => undefined }
    consumer = await joinPartition({ partition: setup.partition, ttlMs: 60_000, logger, ...on })
  })
  afterAll(() => consumer.leave())

  /** A runner whose attempts end when the test says, with a backlog. */
  async function runnerWith(name: string, backlog: number, limit = LIMIT) {
    const address = `by-hand/${name}`
    await openQueues(setup.partition, [{ address }])
    const parsed = manifestQueueSchema.parse({ name, endpoint: `/internal/${name}`, concurrency: LIMIT })
    const begun: string[] = []
    const underWay = new Map<string, (settlement: Settlement) => void>()
    const maker: AttemptMaker = {
      definition: { kind: 'queue', ...parsed },
      limit,
      room: () => Number.POSITIVE_INFINITY,
      roomInMs: () => undefined,
      begin({ id }: ClaimedJob, onEnd) {
        begun.push(id)
        underWay.set(id, (settlement) => {
          if (underWay.delete(id)) onEnd({ settlement })
        })
        return { end: () => underWay.get(id)?.(cancelled) }
      },
    }
    const metrics = createMetrics({ app: 'test', version: '0', maxNames: 10 }).instruments(DISPATCHER_METRICS)
    const runner = createQueueRunner(address, maker, {
      ...{
        partition: setup.partition,
        logger,
        report: createQueueReport(address, { metrics, logger, clock: systemClock }),
      },
      consumer: () => consumer,
      onClaimed: () => undefined,
      onAmbiguousClaim: () => undefined,
    })
    const jobs = Array.from({ length: backlog }, (_, n) => ({ address, lane: 'normal' as const, data: `${n}` }))
    const ids = (await enqueue(setup.partition, jobs)).map(({ id }) => id)
    const endAll = () => {
      for (const end of [...underWay.values()]) end(done)
    }
    return {
      ...{ runner, address, ids, begun, underWay, endAll },
      counts: async () => (await readCounts(setup.partition, [address]))[0]!,
      /** Lets jobs pass quickly until so many are prefetched, and no attempt end from there on. */
      untilPrefetched: (atLeast = 1, places = LIMIT) =>
        eventually(async () => {
          for (let n = 0; n < 20; n++) {
            endAll()
            await new Promise(setImmediate)
          }
          await eventually(() => underWay.size === places)
          return Number((await prefetchedOf(address))[consumer.name] ?? 0) >= atLeast
        }),
      async finish(drained = runner.drain()) {
        let over = false
        void drained.then(() => {
          over = true
        })
        await eventually(() => {
          endAll()
          return over
        })
      },
    }
  }

  it('begins the next one in the instant in which an attempt ends, before Redis can have heard of it', async () => {
    const { runner, begun, underWay, finish } = await runnerWith('instant', 4000)
    runner.wake()
    // `nextTick` comes before all that Redis has answered.
    const replaced = async () => {
      let count = 0
      for (const end of [...underWay.values()]) {
        const before = begun.length
        end(done)
        await new Promise<void>((resolve) => process.nextTick(resolve))
        if (begun.length === before + 1) count++
      }
      return count
    }
    // The first that ends makes a turn go out, which is under way when the others end.
    await eventually(async () => (await replaced()) > 1, { intervalMs: 1 })
    await finish()
  })

  it('gives them back when attempts take long, so that others can have them, and a pause holds', async () => {
    const name = 'slow'
    const { runner, address, begun, endAll, underWay, untilPrefetched, counts, finish } = await runnerWith(name, 4000)
    runner.wake()
    await untilPrefetched()
    await eventually(async () => Object.keys(await prefetchedOf(address)).length === 0, { timeoutMs: 10_000 })
    expect((await counts()).running).toBe(LIMIT)
    expect(await failuresIn('by-hand', name)).toContainEqual({ reason: 'not_begun', counted: false })
    await pause(setup.partition, { action: 'pause', address, by: { who: 'ada', at: '' } })
    const before = begun.length
    endAll()
    await eventually(async () => (await counts()).running === 0)
    expect([begun.length, underWay.size]).toEqual([before, 0])
    await finish()
  })

  it('gives them back at once when it drains, whatever is still under way', async () => {
    const { runner, address, begun, underWay, untilPrefetched, counts, finish } = await runnerWith('drained', 4000)
    runner.wake()
    await untilPrefetched()
    const drained = runner.drain()
    await eventually(async () => Object.keys(await prefetchedOf(address)).length === 0)
    expect(underWay.size).toBe(LIMIT)
    expect((await counts()).running).toBe(LIMIT)
    expect(await failuresIn('by-hand', 'drained')).toContainEqual({ reason: 'not_begun', counted: false })
    const before = begun.length
    await finish(drained)
    expect(begun, 'nothing begins any more').toHaveLength(before)
  })

  it('says how many there are now where a settle is sent again, and not how many there were', async () => {
    const { runner, address, begun, underWay, untilPrefetched, counts, finish } = await runnerWith(
      'again',
      4000,
      LIMIT - 1,
    )
    const on = { onReconnect: () => undefined, onEnd: () => undefined }
    const other = await joinPartition({ partition: setup.partition, ttlMs: 60_000, logger, ...on })
    const call = { consumer: other.name, address, concurrency: LIMIT }
    const settleOthers = (jobs: readonly ClaimedJob[]) =>
      settle(setup.partition, {
        consumer: other.name,
        address,
        attempts: jobs.map((job) => ({ job, settlement: done })),
      })
    const two = await claim(setup.partition, { ...call, want: 2 })
    if (two.kind !== 'claimed') throw new Error(two.kind)
    runner.wake()
    await untilPrefetched(3, LIMIT - 2)
    await settleOthers(two.jobs)
    const ended = () => two.jobs.length + begun.length - underWay.size
    const untilSettled = () => eventually(async () => (await counts()).succeeded === ended())
    await untilSettled()
    // Not allowed to look who is cancelled: the settle fails, and the claim that goes out with it lets one more attempt begin.
    const { redis } = setup.partition
    await redis.acl('LOG', 'RESET')
    const monitor = await redis.monitor()
    const settles: string[][] = []
    monitor.on('monitor', (_time: string, args: string[]) => {
      if (args[1]?.endsWith('_settle') && args[6] === address) settles.push(args)
    })
    await redis.acl('SETUSER', 'default', 'resetkeys', '~{p0}:[^c]*', '~{p0}:c[^a]*')
    const [end] = underWay.values()
    end?.(done)
    runner.wake()
    await eventually(async () => ((await redis.acl('LOG')) as unknown[]).length > 0)
    await redis.acl('SETUSER', 'default', 'allkeys')
    // The other one asks all the while, so that it is there between the settle that is sent again and the next one.
    const jobs: ClaimedJob[] = []
    let isOver = false
    const claimOn = async () => {
      while (!isOver) {
        const more = await claim(setup.partition, { ...call, want: LIMIT })
        if (more.kind === 'claimed') jobs.push(...more.jobs)
      }
    }
    const claiming = Array.from({ length: 8 }, claimOn)
    await untilSettled()
    isOver = true
    await Promise.all(claiming)
    monitor.disconnect()
    const said = settles.map((args) => args.slice(7, 9))
    // What was prefetched when it failed has gone back by the time that it is sent again.
    expect(said[0]).toEqual(['', expect.stringMatching(/^[1-9]/)])
    expect(said[1]).toEqual(['again', '0'])
    expect(underWay.size + jobs.length).toBeLessThanOrEqual(LIMIT)
    await settleOthers(jobs)
    await finish()
    await other.leave()
  })

  it('never begins one that is cancelled', async () => {
    const { runner, ids, begun, untilPrefetched, counts, finish } = await runnerWith('cancelled', 4000)
    runner.wake()
    let asked = 0
    const never = await eventually(async () => {
      await untilPrefetched()
      // Of one lane the jobs begin in the order in which they came, so this is the next one.
      const next = ids.find((id) => !begun.includes(id))!
      const { kind } = await cancel(setup.partition, { id: next, by: { who: 'ada' } })
      runner.cancel(next)
      asked++
      // Otherwise it was given back a moment ago.
      return kind === 'cancelling' && !begun.includes(next) ? next : undefined
    })
    await eventually(async () => (await counts()).cancelled === asked)
    await finish()
    expect(begun).not.toContain(never)
  })
})
