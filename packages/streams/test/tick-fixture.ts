import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, beforeEach } from 'vitest'
import {
  type ClaimedJob,
  claim,
  openQueues,
  plan,
  planText,
  readLedger,
  readLogRange,
  readPlans,
  type Settlement,
  settle,
  type Tick,
  type Ticked,
  type TickFire,
  tick,
} from '../src/index.ts'
import { type Bench, prepare } from './fixture.ts'

/** The queue of a schedule's ticks. */
export const SCHEDULE = 'shop/schedule:nightly'

export const SUCCEEDED = { kind: 'succeeded', status: 200, durationMs: 1 } as const
export const DEAD = { kind: 'dead', reason: 'http_status', durationMs: 1, lastResponse: { status: 500 } } as const

export const nameOf = (atMs: number) => new Date(atMs).toISOString()
export const planOf = (atMs: number, tz = '2026a') => ({ nominalMs: atMs, fireMs: atMs, afterMs: atMs - 1, tz })

/** A nominal time that fires. */
export const fireAt = (atMs: number, meta: TickFire['meta'] = {}): TickFire => ({
  name: nameOf(atMs),
  row: { atMs, kind: 'planned' },
  type: 'schedule.fired',
  event: { tickId: `shop/nightly@${nameOf(atMs)}` },
  data: JSON.stringify({ at: atMs }),
  meta: { tick: { id: `shop/nightly@${nameOf(atMs)}`, name: nameOf(atMs), gas: 2 }, ...meta },
})

/** The call that fires a planned time and plans the next. */
export const due = (atMs: number, nextMs: number, more: Partial<Tick> = {}): Tick => ({
  address: SCHEDULE,
  planned: {
    text: planText({ rule: 'a', ...planOf(atMs) }),
    fireMs: atMs,
    next: { rule: 'a', ...planOf(nextMs) },
  },
  fires: [fireAt(atMs)],
  ...more,
})

/** An open queue of a schedule, and what the tests do with it. */
async function prepareTicks(server: RedisServer) {
  const bench: Bench = await prepare(server)
  const { partition } = bench
  await openQueues(partition, [{ address: SCHEDULE }])
  await bench.join('d1')
  return {
    bench,
    partition,
    planned: (atMs: number, rule = 'a') => plan(partition, { address: SCHEDULE, rule, plan: planOf(atMs) }),
    run: async (call: Tick, from = partition): Promise<Ticked> =>
      (await tick(from, [call], { keep: 100 }))[0] as Ticked,
    types: async () => (await readLogRange(partition, { count: 1000 })).map(({ type }) => type),
    rows: async () => (await readLedger(partition, { address: SCHEDULE, count: 100 })).map(({ row }) => row).reverse(),
    nextOf: async () => (await readPlans(partition)).get(SCHEDULE)?.nominalMs,
    async takeRun(): Promise<ClaimedJob | undefined> {
      const claimed = await claim(partition, { consumer: 'd1', address: SCHEDULE, concurrency: 5, want: 1 })
      return claimed.kind === 'claimed' ? claimed.jobs[0] : undefined
    },
    end: (job: ClaimedJob, settlement: Settlement) =>
      settle(partition, { consumer: 'd1', address: SCHEDULE, attempts: [{ job, settlement }] }),
  }
}
type TickBench = Awaited<ReturnType<typeof prepareTicks>>

/** A server for the tests of a file, and a schedule without a plan for each of them. */
export function useTicks(): TickBench & { readonly server: RedisServer } {
  let server: RedisServer
  let ticks: TickBench
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.stop())
  beforeEach(async () => {
    ticks = await prepareTicks(server)
  })
  return {
    get server() {
      return server
    },
    get bench() {
      return ticks.bench
    },
    get partition() {
      return ticks.partition
    },
    planned: (...args) => ticks.planned(...args),
    run: (...args) => ticks.run(...args),
    types: () => ticks.types(),
    rows: () => ticks.rows(),
    nextOf: () => ticks.nextOf(),
    takeRun: () => ticks.takeRun(),
    end: (...args) => ticks.end(...args),
  }
}
