import { MillraceError } from './errors.ts'

/** A time as it is sent; a string is sent as it is. */
export function toTime(option: string, time: Date | string | undefined): string | undefined {
  if (!(time instanceof Date)) return time
  if (Number.isNaN(time.getTime()))
    throw new MillraceError(`${option} is not a valid date`, { code: 'sdk.invalid_input' })
  return time.toISOString()
}
