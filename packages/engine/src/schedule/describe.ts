import cronstrue from 'cronstrue'
import { parseCron } from './cron-expression.ts'
import type { CronRule } from './nominal-times.ts'

/** A rule in plain words: `at 02:00 on weekdays, America/Denver`. */
export function describeRule({ cron, timezone, at }: CronRule): string {
  if (at !== undefined) return `once, at ${new Date(at).toISOString()}`
  const parsed = parseCron(cron)
  if (parsed.kind === 'every') return `every ${durationText(parsed.everyMs)}`
  return `${describeFields(parsed.text)}, ${timezone}`
}

/** The library reads both day fields as one condition; whether it is AND or OR is our rule, so they are read one by one. */
function describeFields(text: string): string {
  const [minute, hour, day, month, weekday] = text.split(' ') as [string, string, string, string, string]
  const time = read(`${minute} ${hour} * * *`)
  const part = (fields: string) => read(`${minute} ${hour} ${fields}`)?.slice(time?.length)
  const [days, months, weekdays] = [part(`${day} * *`), part(`* ${month} *`), part(`* * ${weekday}`)]
  if (time === undefined || days === undefined || months === undefined || weekdays === undefined) return `at "${text}"`
  const either = !day.startsWith('*') && !weekday.startsWith('*')
  const joined = days === '' || weekdays === '' ? days + weekdays : `${days}${either ? ', or' : ', and'}${weekdays}`
  return plainer(`${time}${joined}${months}`)
}

/** What the library says, undefined where it cannot read what our parser can. */
function read(expression: string): string | undefined {
  try {
    return cronstrue.toString(expression, { use24HourTimeFormat: true, throwExceptionOnParseError: true })
  } catch {
    return undefined
  }
}

function plainer(text: string): string {
  const plain = text
    .replace(/(, (?:and|or)), /, '$1 ')
    .replace(/, Monday through Friday/, ' on weekdays')
    .replace(/(and|or) Monday through Friday/, '$1 on weekdays')
    .replace(/,? only on /, ' on ')
    .replace(/, only in /, ' in ')
    .replace(/^([^,]*), on /, '$1 on ')
  return plain.charAt(0).toLowerCase() + plain.slice(1)
}

/** `90 s`, `15 min`, `1 h 30 min`. */
function durationText(ms: number): string {
  const units = [
    [86_400_000, 'd'],
    [3_600_000, 'h'],
    [60_000, 'min'],
    [1000, 's'],
    [1, 'ms'],
  ] as const
  let rest = ms
  const parts = units.flatMap(([size, unit]) => {
    const count = Math.floor(rest / size)
    rest -= count * size
    return count === 0 ? [] : [`${count} ${unit}`]
  })
  return parts.join(' ')
}
