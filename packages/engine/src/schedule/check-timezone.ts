/** What is wrong with a time zone, with the fix; undefined when nothing is. */
export function checkTimezone(timezone: string): string | undefined {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
    // "+05:30" and the like pass there, but a fixed offset knows no daylight saving and is rarely what was meant.
    return /^[+-]/.test(timezone) ? 'is an offset; an IANA name such as America/Denver or UTC is expected' : undefined
  } catch {
    return 'is not a known time zone; an IANA name such as America/Denver or UTC is expected'
  }
}
