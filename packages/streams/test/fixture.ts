import { type RedisServer, startRedis } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, expect } from 'vitest'
import { digitsOf, jobIdFrom } from '../src/digits.ts'
import {
  type ClaimedJob,
  claim,
  createPartitions,
  enqueue,
  imbalance,
  type Limits,
  lease,
  type NewJob,
  openQueues,
  type Partition,
  readCounts,
} from '../src/index.ts'

export const ADDRESS = 'shop/mail'

export interface Bench {
  readonly partition: Partition
  join(consumer: string, ttlMs?: number): Promise<void>
  add(...payloads: unknown[]): Promise<string[]>
  addWith(job: Partial<NewJob>): Promise<string>
  take(consumer: string, options?: { want?: number; concurrency?: number }): Promise<ClaimedJob[]>
}

/** A partition with one open queue on a flushed server. */
export async function prepare(server: RedisServer, limits?: Limits): Promise<Bench> {
  await server.flush()
  const partition = createPartitions(server.client(), 1).of(ADDRESS)
  await openQueues(partition, [{ address: ADDRESS, ...(limits && { limits }) }])
  const addWith = async (job: Partial<NewJob>) => {
    const [result] = await enqueue(partition, [{ address: ADDRESS, lane: 'normal', data: '{}', ...job }])
    return result!.id
  }
  return {
    partition,
    async join(consumer, ttlMs = 60_000) {
      await lease(partition, { action: 'join', consumer, ttlMs })
    },
    async add(...payloads) {
      const jobs = payloads.map((payload) => ({
        address: ADDRESS,
        lane: 'normal' as const,
        data: JSON.stringify(payload),
      }))
      return (await enqueue(partition, jobs)).map((result) => result.id)
    },
    addWith,
    async take(consumer, { want = 10, concurrency = 100 } = {}) {
      const result = await claim(partition, { consumer, address: ADDRESS, concurrency, want })
      return result.kind === 'claimed' ? result.jobs : []
    },
  }
}

interface BenchOfTests extends Bench {
  readonly server: RedisServer
  /** Begin again, with these limits. */
  open(limits?: Limits): Promise<void>
}

/**
 * A server for the tests of a file, and for each of them a partition as `prepare` makes it, which `consumer` has joined. After
 * each, every accepted job is accounted for, but where a test takes something away by hand (`losesJobs`).
 */
export function useBench({ consumer, losesJobs = false }: { consumer: string; losesJobs?: boolean }): BenchOfTests {
  let server: RedisServer
  let bench: Bench
  const open = async (limits?: Limits) => {
    bench = await prepare(server, limits)
    await bench.join(consumer)
  }
  beforeAll(async () => {
    server = await startRedis()
  })
  afterAll(() => server.stop())
  beforeEach(() => open())
  if (!losesJobs) afterEach(() => expectBalance(bench))
  return {
    get server() {
      return server
    },
    get partition() {
      return bench.partition
    },
    open,
    join: (...args) => bench.join(...args),
    add: (...payloads) => bench.add(...payloads),
    addWith: (job) => bench.addWith(job),
    take: (...args) => bench.take(...args),
  }
}

/** Nothing accepted is lost: what was accepted is somewhere, once; and large payloads are there for as long as they stand for any. */
export async function expectBalance({ partition }: Pick<Bench, 'partition'>, address = ADDRESS): Promise<void> {
  const [counts] = await readCounts(partition, [address])
  expect(counts && imbalance(counts), `conservation of ${address}`).toBe(0)
  for (const lane of ['high', 'normal', 'low'])
    expect(await largeOf(partition, address, lane), `large payloads of ${lane}`).toEqual(
      await meantElsewhere(partition, address, lane),
    )
}

async function largeOf({ redis, keys }: Partition, address: string, lane: string): Promise<string[]> {
  return (await redis.hkeys(keys.large(address, lane))).toSorted()
}

/** What waits in a lane, in its order: the id of each job, its payload or what stands for it, and what else there is of it. */
export async function inLane(
  { redis, keys, hex }: Partition,
  address = ADDRESS,
  lane = 'normal',
): Promise<{ id: string; data: string; body: string }[]> {
  return (await redis.lrange(keys.lane(address, lane), 0, -1)).map((element) => readElement(element, hex))
}

/** An element of a lane, or of what is in hand. */
function readElement(element: string, hex: string) {
  const [, place = '', body = '', data = ''] = /^(.{16})(?:@([^\n]*)\n)?(.*)$/s.exec(element) ?? []
  const { job } = (body === '' ? { job: '' } : JSON.parse(body)) as { job: string }
  return { id: job || jobIdFrom(place, hex), data, body }
}

/** The jobs of a lane, and those in hand that came from it, whose payloads lie elsewhere. */
async function meantElsewhere(partition: Partition, address: string, lane: string): Promise<string[]> {
  const inHand = Object.entries(await partition.redis.hgetall(partition.keys.inHand(address)))
    .filter(([field]) => field.split(' ')[1] === lane)
    .map(([, element]) => readElement(element, partition.hex))
  return [...(await inLane(partition, address, lane)), ...inHand]
    .filter(({ data }) => data === '&')
    .map(({ id }) => digitsOf(id))
    .toSorted()
}
