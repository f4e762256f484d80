import type { ManifestSchedule } from '@millrace/contracts'
import { checkTimezone } from './check-timezone.ts'
import { checkCron } from './cron-expression.ts'
import { nextNominalTime } from './nominal-times.ts'

type Raw = Readonly<Record<string, unknown>>
type Fault = [field: string, detail: string | undefined]

/** What is wrong with the time of a schedule as it stands in a manifest. */
export function faultsOfSchedule({ cron, at, timezone, startAt, endAt }: Raw): Fault[] {
  return [
    ['cron', faultOfCron(cron, at)],
    ['timezone', typeof timezone === 'string' ? quoted(timezone, checkTimezone(timezone)) : undefined],
    ['endAt', isBefore(endAt, startAt) ? 'is before startAt, so it would never fire' : undefined],
    ...(['startAt', 'endAt'] as const).map((field): Fault => {
      const given = field === 'startAt' ? startAt : endAt
      return [
        field,
        at !== undefined && given !== undefined ? 'has no meaning with at, which is a single time' : undefined,
      ]
    }),
  ]
}

function faultOfCron(cron: unknown, at: unknown): string | undefined {
  if (cron === undefined)
    return at === undefined ? 'is required: five parts such as "0 2 * * *", or at for a single time' : undefined
  if (at !== undefined) return 'and at exclude each other: cron repeats, at is a single time'
  return typeof cron === 'string' ? quoted(cron, checkCron(cron)) : undefined
}

function quoted(value: string, fault: string | undefined): string | undefined {
  return fault === undefined ? undefined : `"${value}" ${fault}`
}

function isBefore(end: unknown, start: unknown): boolean {
  return typeof end === 'string' && typeof start === 'string' && Date.parse(end) < Date.parse(start)
}

/** Any rule that fires at all does so within the 400 years after which the calendar repeats; this asks for the first time ever. */
const LONG_AGO_MS = Date.UTC(2020, 0, 1)

/** What is accepted and probably not meant. */
export function warningsOfSchedule({ cron, at, timezone, dst, startAt, endAt }: ManifestSchedule): [string, string][] {
  if (cron === undefined || at !== undefined) return []
  if (nextNominalTime({ cron, timezone, dst }, LONG_AGO_MS) === undefined)
    return [['cron', `"${cron}" never fires: there is no such date`]]
  const none = nextNominalTime({ cron, timezone, dst, startAt, endAt }, LONG_AGO_MS) === undefined
  return none ? [['endAt', `"${cron}" has no time between startAt and endAt`]] : []
}
