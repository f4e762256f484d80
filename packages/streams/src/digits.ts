/** Of an id behind its prefix: hex digits of time and sequence, 11 and 5. Within a partition they name a job (`digits_of` in prelude.lua). */
export const DIGITS = 16

export function digitsOf(id: string): string {
  const start = id.indexOf('_') + 1
  return id.slice(start, start + DIGITS)
}

/** @param hex the number of the partition, as `Partition` has it */
export function jobIdFrom(digits: string, hex: string): string {
  return `job_${digits}${hex}`
}
