import { Cron } from 'croner'

/** The rule that a schedule's times follow. */
export interface CronRule {
  readonly cron: string
  /** IANA name. */
  readonly timezone: string
}

/** What is wrong with a cron expression, with the fix; undefined when nothing is. */
export function checkCron(expression: string): string | undefined {
  const parts = expression.trim().split(/\s+/)
  if (expression.trim().startsWith('@')) return checkNickname(expression.trim())
  if (parts.length === 6) {
    return `has 6 parts; five are expected (minute hour day month weekday). Seconds are not supported: leave out the first part, "${parts.slice(1).join(' ')}"`
  }
  if (parts.length !== 5) {
    return `has ${parts.length} part${parts.length === 1 ? '' : 's'}; five are expected: minute hour day month weekday, for example "0 2 * * *"`
  }
  try {
    new Cron(expression, { mode: '5-part', paused: true })
    return undefined
  } catch (error) {
    return `is not a cron expression: ${(error as Error).message.replace(/^CronPattern: /, '')}`
  }
}

const NICKNAMES = ['@yearly', '@annually', '@monthly', '@weekly', '@daily', '@midnight', '@hourly']

function checkNickname(expression: string): string | undefined {
  return NICKNAMES.includes(expression) ? undefined : `is not a known nickname; known are ${NICKNAMES.join(', ')}`
}

/** What is wrong with a time zone; undefined when nothing is. */
export function checkTimezone(timezone: string): string | undefined {
  try {
    new Intl.DateTimeFormat('en', { timeZone: timezone })
    // "+05:30" and the like pass there, but a fixed offset knows no daylight saving and is rarely what was meant.
    return /^[+-]/.test(timezone) ? 'is an offset; an IANA name such as America/Denver or UTC is expected' : undefined
  } catch {
    return 'is not a known time zone; an IANA name such as America/Denver or UTC is expected'
  }
}

/** The first nominal time strictly after a time, in ms; undefined when the expression never fires again. */
export function nextNominalTime(rule: CronRule, afterMs: number): number | undefined {
  return cronOf(rule).nextRun(new Date(afterMs))?.getTime()
}

/** Parsed rules, because a schedule that was down for long asks for thousands of times in a row. */
const parsed = new Map<string, Cron>()
const MAX_PARSED = 1000

function cronOf(rule: CronRule): Cron {
  const text = ruleText(rule)
  const known = parsed.get(text)
  if (known) return known
  if (parsed.size >= MAX_PARSED) parsed.clear()
  const cron = new Cron(rule.cron, { mode: '5-part', timezone: rule.timezone, paused: true })
  parsed.set(text, cron)
  return cron
}

/** The rule as it is compared and stored: planning again by an equal text changes nothing. */
export function ruleText({ cron, timezone }: CronRule): string {
  return `${cron.trim().split(/\s+/).join(' ')} ${timezone}`
}
