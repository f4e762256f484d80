import { crc32 } from 'node:zlib'
import { REGISTRY_PARTITION } from '@millrace/contracts'
import type { Redis } from 'ioredis'
import { type PartitionKeys, partitionKeys } from './keys.ts'

/** One partition as the wrappers of the scripts take it: its number, its keys, and the connection to use. */
export interface Partition {
  readonly number: number
  /** Three hex digits, as the ids carry them. */
  readonly hex: string
  readonly keys: PartitionKeys
  readonly redis: Redis
}

export function createPartition(redis: Redis, number: number): Partition {
  return { number, hex: number.toString(16).padStart(3, '0'), keys: partitionKeys(number), redis }
}

export function registryPartition(redis: Redis): Partition {
  return createPartition(redis, REGISTRY_PARTITION)
}

/** All partitions of a platform, and which of them a queue or an entity lives in. */
export interface Partitions {
  readonly all: readonly Partition[]
  of(key: string): Partition
  byNumber(number: number): Partition | undefined
}

export function createPartitions(redis: Redis, count: number): Partitions {
  const all = Array.from({ length: count }, (_, number) => createPartition(redis, number))
  return {
    all,
    of: (key) => all[crc32(key) % count] as Partition,
    byNumber: (number) => all[number],
  }
}
