import { crc32 } from 'node:zlib'
import { REGISTRY_PARTITION } from '@millrace/contracts'
import type { Redis } from 'ioredis'
import { type PartitionKeys, partitionKeys } from './keys.ts'
import { type Confirm, createReplicaWait } from './replicas.ts'

/** One partition as the wrappers of the scripts take it: its number, its keys, and the connection to use. */
export interface Partition {
  readonly number: number
  /** Three hex digits, as the ids carry them. */
  readonly hex: string
  readonly keys: PartitionKeys
  readonly redis: Redis
  /** Where replicas are waited for: taken before a write that somebody is told of, called after it. */
  readonly beginWrite?: () => Confirm
}

/** One connection for everything, or the one for each partition by its number: on a cluster each goes to another primary. */
export type ConnectionOf = Redis | ((partition: number) => Redis)

/** The number of a partition as ids carry it. */
export function hexOf(number: number): string {
  return number.toString(16).padStart(3, '0')
}

export function createPartition(connection: ConnectionOf, number: number): Partition {
  return {
    number,
    hex: hexOf(number),
    keys: partitionKeys(number),
    // Asked when it is needed: a pull consumer needs one of a thousand partitions.
    get redis() {
      return typeof connection === 'function' ? connection(number) : connection
    },
  }
}

export function registryPartition(connection: ConnectionOf): Partition {
  return createPartition(connection, REGISTRY_PARTITION)
}

/** The same partition, whose accepted writes so many replicas have before anybody is told. */
export function withReplicas(partition: Partition, replicas: number): Partition {
  const { number, hex, keys, redis } = partition
  return { number, hex, keys, redis, beginWrite: createReplicaWait(redis, { mark: keys.mark, replicas }) }
}

/**
 * What is sent to a partition while this runs, until it first waits, goes out in one piece: Redis reads it at once, writes its
 * file once, and answers in one piece as well.
 */
export function inOneWrite<Result>({ redis }: Partition, run: () => Result): Result {
  // There is none until a connection was first tried.
  const stream = redis.stream as Redis['stream'] | undefined
  stream?.cork()
  try {
    return run()
  } finally {
    stream?.uncork()
  }
}

/** All partitions of a platform, and which of them a queue or an entity lives in. */
export interface Partitions {
  readonly all: readonly Partition[]
  of(key: string): Partition
  byNumber(number: number): Partition | undefined
}

export function createPartitions(
  connection: ConnectionOf,
  count: number,
  { waitReplicas = 0 }: { waitReplicas?: number } = {},
): Partitions {
  const plain = Array.from({ length: count }, (_, number) => createPartition(connection, number))
  const all = waitReplicas > 0 ? plain.map((partition) => withReplicas(partition, waitReplicas)) : plain
  return {
    all,
    of: (key) => all[crc32(key) % count] as Partition,
    byNumber: (number) => all[number],
  }
}
