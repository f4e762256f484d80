/** No character that would end the line of a header, or that no header can carry (RFC 9110, section 5.5). */
const HEADER_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/

/**
 * The value of a header, now known to stay within its line. What is a number by its type is looked at where it is none: it may
 * have come out of Redis.
 *
 * @throws TypeError when no header can carry it
 */
export function sendable<Value extends string | number>(name: string, value: Value): Value {
  if (typeof value !== 'number' && !HEADER_VALUE.test(value))
    throw new TypeError(`the header ${name} has a character that no header can carry`)
  return value
}

/** The line of a header that not every request has. */
export function headerLine(name: string, value: string | undefined): string {
  return value === undefined ? '' : `${name}: ${sendable(name, value)}\r\n`
}
