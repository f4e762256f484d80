import { formatId } from '@millrace/contracts'

/**
 * A time as the smallest id of that millisecond. Ids begin with their time, so a range of time is a range of the
 * primary key. Fractions of a millisecond are rounded up, so that `since` never takes in what came before it.
 */
export function idAt(prefix: 'evt' | 'job', time: string): string {
  const ms = Math.ceil(Date.parse(time))
  return formatId({ prefix, ms: Math.max(0, ms), seq: 0, partition: 0 })
}
