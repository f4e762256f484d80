import {
  type ClaimedJob,
  claim,
  type Limits,
  lease,
  openQueues,
  readCounts,
  type Settlement,
  settle,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

export const LIMIT = 5
export const done: Settlement = { kind: 'succeeded', status: 200, durationMs: 1 }
export const notBegun: Settlement = {
  ...{ kind: 'postpone', delayMs: 0, reason: 'not_begun', durationMs: 0 },
  lastResponse: { error: 'it was claimed ahead' },
}
export const limited = (limit: number) => ({ rate: { limit, periodMs: 60_000, burst: limit } })
export const payloads = (jobs: readonly ClaimedJob[]) => jobs.map((job) => JSON.parse(job.data))

export interface Call {
  readonly want?: number
  readonly prefetched?: number
  readonly prefetch?: number
  readonly concurrency?: number
  readonly underWay?: number
}

/** A queue that `d1` claims from, and what a dispatcher says to it. */
export function usePrefetch() {
  const bench = useBench({ consumer: 'd1' })
  const add = (count: number) => bench.add(...Array.from({ length: count }, (_, n) => n))
  const apply = (limits?: Limits) => openQueues(bench.partition, [{ address: ADDRESS, ...(limits && { limits }) }])
  const ask = (consumer: string, { want = 0, concurrency = LIMIT, ...call }: Call) =>
    claim(bench.partition, { consumer, address: ADDRESS, concurrency, want, ...call })
  /** What a claim brought, where it has to bring something. */
  const take = async (consumer: string, call: Call) => {
    const result = await ask(consumer, call)
    if (result.kind !== 'claimed') throw new Error(`the claim is answered with ${result.kind}`)
    return result
  }
  const finish = (consumer: string, jobs: readonly ClaimedJob[], prefetched?: number, settlement: Settlement = done) =>
    settle(bench.partition, {
      ...{ consumer, address: ADDRESS, prefetched },
      attempts: jobs.map((job) => ({ job, settlement })),
    })
  const noted = () => bench.partition.redis.hgetall(`{p0}:prefetched:${ADDRESS}`)
  const counts = async () => (await readCounts(bench.partition, [ADDRESS]))[0]!
  const leave = (consumer: string) => lease(bench.partition, { action: 'leave', consumer })
  return { bench, add, apply, ask, take, finish, noted, counts, leave }
}
