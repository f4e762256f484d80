/** Of an id behind its prefix: hex digits of time and sequence, 11 and 5. Within a partition they name a job (`digits_of` in prelude.lua). */
const LENGTH = 16
/** As `formatId` in contracts has it. */
const PARTITION_LENGTH = 3

export function digitsOf(id: string): string {
  const start = id.indexOf('_') + 1
  return id.slice(start, start + LENGTH)
}

export function jobIdFrom(digits: string, partition: number): string {
  return `job_${digits}${partition.toString(16).padStart(PARTITION_LENGTH, '0')}`
}
