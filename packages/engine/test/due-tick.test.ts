import { describe, expect, it } from 'vitest'
import { checkCron, decideTick, nextNominalTime, ruleText } from '../src/index.ts'

const hourly = { cron: '0 * * * *', timezone: 'UTC' }
const at = (time: string) => Date.parse(`2026-03-01T${time}Z`)

describe('a due tick', () => {
  it('fires its nominal time and plans the next', () => {
    expect(decideTick(hourly, { plannedMs: at('02:00:00'), nowMs: at('02:00:00.020') })).toEqual({
      fireMs: at('02:00:00'),
      nextMs: at('03:00:00'),
    })
  })

  it('after a short outage fires late, the latest only, and records the others as missed', () => {
    const decision = decideTick(hourly, { plannedMs: at('02:00:00'), nowMs: at('05:03:00') })
    expect(decision).toEqual({
      fireMs: at('05:00:00'),
      missed: { count: 3, fromMs: at('02:00:00'), toMs: at('04:00:00') },
      nextMs: at('06:00:00'),
    })
  })

  it('too old is missed, not fired', () => {
    expect(decideTick(hourly, { plannedMs: at('02:00:00'), nowMs: at('02:30:00') })).toEqual({
      missed: { count: 1, fromMs: at('02:00:00'), toMs: at('02:00:00') },
      nextMs: at('03:00:00'),
    })
  })

  it('of a rule that every minute missed a year is decided at once', () => {
    const decision = decideTick(
      { cron: '* * * * *', timezone: 'UTC' },
      { plannedMs: at('00:00:00') - 365 * 86_400_000, nowMs: at('00:00:30') },
    )
    expect(decision.nextMs).toBe(at('00:01:00'))
    expect(decision.missed?.count).toBeGreaterThanOrEqual(9_999)
  })

  it('of a rule that never fires again has no next time', () => {
    expect(nextNominalTime({ cron: '0 0 30 2 *', timezone: 'UTC' }, at('00:00:00'))).toBeUndefined()
  })
})

describe('nominal times', () => {
  it('are in the zone of the schedule', () => {
    expect(nextNominalTime({ cron: '0 2 * * *', timezone: 'America/Denver' }, at('00:00:00'))).toBe(at('09:00:00'))
  })

  it('are strictly after the given time', () => {
    expect(nextNominalTime(hourly, at('02:00:00'))).toBe(at('03:00:00'))
  })

  it.each(['*/15 * * * *', '0 9 * * 1-5', '0 2 1 * *', '0 0 * * 7', '0 0 * JAN SUN', '@daily'])(
    '%s is accepted',
    (cron) => {
      expect(checkCron(cron)).toBeUndefined()
    },
  )

  it('have one text per rule, so that spacing is no change', () => {
    expect(ruleText({ cron: ' 0  2 * * * ', timezone: 'UTC' })).toBe(ruleText({ cron: '0 2 * * *', timezone: 'UTC' }))
  })
})
