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

/** One connection for everything, or the one for each partition by its number: on a cluster each goes to another primary. */
export type ConnectionOf = Redis | ((partition: number) => Redis)

export function createPartition(connection: ConnectionOf, number: number): Partition {
  return {
    number,
    hex: number.toString(16).padStart(3, '0'),
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

/** All partitions of a platform, and which of them a queue or an entity lives in. */
export interface Partitions {
  readonly all: readonly Partition[]
  of(key: string): Partition
  byNumber(number: number): Partition | undefined
}

export function createPartitions(connection: ConnectionOf, count: number): Partitions {
  const all = Array.from({ length: count }, (_, number) => createPartition(connection, number))
  return {
    all,
    of: (key) => all[crc32(key) % count] as Partition,
    byNumber: (number) => all[number],
  }
}
