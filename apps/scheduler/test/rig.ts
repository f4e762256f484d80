import type { Partition } from '@millrace/streams'
import {
  type ChildHandle,
  eventually,
  freePort,
  type Receiver,
  type RedisServer,
  startProcess,
  startReceiver,
  startRedis,
} from '@millrace/testkit'
import { afterAll, beforeAll } from 'vitest'
import { type Client, declare, nextOf, partitionOf, type ScheduleFields, schedulerOn } from './fixture.ts'

type Scheduler = Awaited<ReturnType<typeof schedulerOn>>

interface Rig {
  readonly redis: RedisServer
  readonly receiver: Receiver
  readonly partition: Partition
  readonly schedulers: readonly Scheduler[]
  /** Of the first scheduler. */
  readonly client: Client
  /** Leaves the work to whatever else runs on this Redis; they come back with `startSchedulers`. */
  stopSchedulers(): Promise<void>
  startSchedulers(): Promise<void>
  /** Declares a schedule of a service at the receiver, and resolves with its address when it is planned. */
  planned(namespace: string, schedule: ScheduleFields): Promise<string>
}

/** A Redis, a receiver, a dispatcher that delivers to it, and schedulers in this process, for the tests of a file. */
export function useRig({
  schedulers: count = 1,
  env = {},
}: {
  schedulers?: number
  env?: Record<string, string>
}): Rig {
  let redis: RedisServer
  let receiver: Receiver
  let dispatcher: ChildHandle
  let partition: Partition
  let schedulers: Scheduler[] = []
  const startSchedulers = async () => {
    schedulers = await Promise.all(Array.from({ length: count }, () => schedulerOn(redis.url, env)))
  }
  const stopSchedulers = async () => {
    await Promise.all(schedulers.splice(0).map(({ scheduler }) => scheduler.stop()))
  }
  beforeAll(async () => {
    redis = await startRedis()
    receiver = await startReceiver()
    partition = partitionOf(redis)
    dispatcher = await startProcess({
      file: new URL('../../dispatcher/src/main.ts', import.meta.url),
      env: { REDIS_URL: redis.url, MILLRACE_DISPATCHER_PORT: String(await freePort()) },
      readyWhen: /dispatcher\.ready/,
      // A machine that is busy with other tests takes its time.
      readyTimeoutMs: 60_000,
    })
    await startSchedulers()
  })
  afterAll(async () => {
    await stopSchedulers()
    await dispatcher.stop()
    await receiver.stop()
    await redis.stop()
  })
  return {
    get redis() {
      return redis
    },
    get receiver() {
      return receiver
    },
    get partition() {
      return partition
    },
    get schedulers() {
      return schedulers
    },
    get client() {
      return (schedulers[0] as Scheduler).client
    },
    startSchedulers,
    stopSchedulers,
    async planned(namespace, schedule) {
      await declare(redis, namespace, [schedule], receiver.url)
      const address = `${namespace}/schedule:${schedule.name}`
      await eventually(async () => (await nextOf(partition, address)) > 0)
      return address
    },
  }
}
