import { formatId } from '@millrace/contracts'

/**
 * A time as the smallest id of that millisecond. Ids begin with their time, so a range of time is a range of the
 * primary key. Fractions of a millisecond are rounded up, so that `since` never takes in what came before it.
 */
export function idAt(prefix: 'evt' | 'job', time: string): string {
  return idOfMs(prefix, Math.ceil(Date.parse(time)))
}

/** The smallest id of a millisecond. */
export function idOfMs(prefix: 'evt' | 'job', ms: number): string {
  return formatId({ prefix, ms: Math.max(0, Math.ceil(ms)), seq: 0, partition: 0 })
}
