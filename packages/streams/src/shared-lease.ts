import { randomBytes } from 'node:crypto'
import { hostname } from 'node:os'
import type { Partition } from './partition.ts'
import { hold } from './scripts/hold.ts'

/** A name for the holder of leases: of this process, and used for this start of it alone. */
export function newHolder(): string {
  return `${hostname()}-${process.pid}-${randomBytes(4).toString('hex')}`
}

/** The lease on a duty that one process at a time has in a partition. */
export function sharedLease({ name, ttlMs }: { name: string; ttlMs: number }) {
  const holder = newHolder()
  return {
    /** Take it or renew it; false while another process has it. */
    async take(partition: Partition): Promise<boolean> {
      return (await hold(partition, { name, holder, ttlMs })).kind === 'held'
    },
    async letGo(partition: Partition): Promise<void> {
      await hold(partition, { name, holder, ttlMs: 0 })
    },
  }
}
