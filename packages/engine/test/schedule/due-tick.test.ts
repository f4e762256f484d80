import type { CatchUp } from '@millrace/contracts'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type DueRule, decideTick, jitterOf, nextNominalTime, planAfter } from '../../src/index.ts'

const hourly: DueRule = { address: 'shop/schedule:hourly', cron: '0 * * * *', timezone: 'UTC' }
const at = (time: string) => Date.parse(`2026-03-01T${time}Z`)
const decide = (rule: DueRule, planned: string, now: string) =>
  decideTick(rule, { plannedMs: at(planned), afterMs: at(planned) - 1, nowMs: at(now) })
const planned = (time: string) => ({ nominalMs: at(time), fireMs: at(time) })
const one = (time: string, state: string, reason: string) => ({
  ...{ state, reason, fromMs: at(time), toMs: at(time), count: 1 },
})

describe('a due tick', () => {
  it('fires its nominal time and plans the next', () => {
    expect(decide(hourly, '02:00:00', '02:00:00.020')).toEqual({
      fire: [{ nominalMs: at('02:00:00'), lateMs: 20 }],
      passedOver: [],
      gaps: [],
      next: planned('03:00:00'),
    })
  })

  it('after a short outage fires late, the latest only', () => {
    const decision = decide(hourly, '02:00:00', '05:03:00')
    expect(decision.fire).toEqual([{ nominalMs: at('05:00:00'), lateMs: 180_000 }])
    expect(decision.passedOver).toEqual(
      ['02:00:00', '03:00:00', '04:00:00'].map((time) => one(time, 'skipped', 'window')),
    )
    expect(decision.next).toEqual(planned('06:00:00'))
  })

  it('too old is passed over, not fired', () => {
    const decision = decide(hourly, '02:00:00', '02:30:00')
    expect(decision).toMatchObject({ fire: [], passedOver: [one('02:00:00', 'skipped', 'window')] })
  })

  it('says which gap it passed', () => {
    const rule: DueRule = { address: 'a', cron: '30 2 * * *', timezone: 'America/New_York', dst: 'go' }
    const plannedMs = Date.parse('2026-03-09T06:30:00Z')
    const decision = decideTick(rule, { plannedMs, afterMs: Date.parse('2026-03-07T07:30:00Z'), nowMs: plannedMs })
    expect(decision.gaps).toMatchObject([{ atMs: Date.parse('2026-03-08T07:00:00Z'), count: 1 }])
  })

  it('of a rule for every minute that nobody looked at for a year lists the newest and counts the rest', () => {
    const rule: DueRule = { ...hourly, cron: '* * * * *' }
    const nowMs = at('00:00:30')
    const decision = decideTick(rule, { plannedMs: nowMs - 30_000 - 365 * 86_400_000, afterMs: 0, nowMs })
    expect(decision.fire).toEqual([{ nominalMs: at('00:00:00'), lateMs: 30_000 }])
    expect(decision.next?.nominalMs).toBe(at('00:01:00'))
    const [oldest, ...rest] = decision.passedOver
    expect(oldest).toMatchObject({ state: 'skipped', reason: 'window', count: 2000, atLeast: true })
    expect(rest).toHaveLength(100)
    expect(oldest?.toMs).toBe((rest[0]?.fromMs ?? 0) - 60_000)
  })

  it('of a rule that never fires again plans nothing', () => {
    const rule = { ...hourly, endAt: '2026-03-01T02:00:00Z' }
    expect(decide(rule, '02:00:00', '02:00:00')).toMatchObject({ fire: [{ nominalMs: at('02:00:00') }] })
    expect(decide(rule, '02:00:00', '02:00:00')).not.toHaveProperty('next')
  })
})

describe('three hours down with a time every ten minutes', () => {
  const due = (catchUp: Partial<CatchUp>) => {
    const policy: CatchUp = { window: '10m', take: 'latest', max: 100, ...catchUp }
    const rule: DueRule = { ...hourly, cron: '*/10 * * * *', catchUp: policy }
    const decision = decide(rule, '02:00:00', '05:05:00')
    const counts = { window: 0, take: 0 }
    for (const { reason, count } of decision.passedOver) counts[reason] += count
    return { fired: decision.fire.map(({ nominalMs }) => new Date(nominalMs).toISOString().slice(11, 16)), ...counts }
  }

  it.each([
    [{}, ['05:00'], 18, 0],
    [{ take: 'none' }, [], 18, 1],
    [{ take: 'all' }, ['05:00'], 18, 0],
    [{ take: 'all', window: '30m' }, ['04:40', '04:50', '05:00'], 16, 0],
    [{ take: 'all', window: '30m', max: 2 }, ['04:50', '05:00'], 16, 1],
    [{ take: 'latest', window: '1d' }, ['05:00'], 0, 18],
    [{ take: 'latest', window: 60_000 }, [], 19, 0],
    [{ take: 'latest', window: 0 }, [], 19, 0],
  ] as const)('%j', (catchUp, fired, window, take) => {
    expect(due(catchUp)).toEqual({ fired, window, take })
  })

  it('takes no more than max of them all, the newest, however many there were', () => {
    const catchUp: CatchUp = { window: '1d', take: 'all', max: 1000 }
    const rule: DueRule = { ...hourly, cron: '@every 1s', catchUp }
    const decision = decide(rule, '00:00:00', '02:00:00')
    // The newest two are on time, and are not counted among those that are caught up with.
    expect(decision.fire).toHaveLength(1002)
    expect(decision.passedOver.reduce((sum, { count }) => sum + count, 0)).toBeGreaterThanOrEqual(2000)
    expect(decision.next).toEqual(planned('02:00:01'))
  })
})

describe('whatever the policy, the outage and the rule', () => {
  it('every nominal time from the planned one to the last due is fired or passed over, once', () => {
    const catchUp = fc.record({
      window: fc.constantFrom('0s', '1m', '10m', '2h', '1d'),
      take: fc.constantFrom('latest', 'all', 'none'),
      max: fc.integer({ min: 1, max: 20 }),
    })
    const cron = fc.constantFrom('*/7 * * * *', '0 * * * *', '@every 97s', '30 2 * * *', '15,45 1-3 * * *')
    const jitterMs = fc.constantFrom(0, 5000, 100_000)
    fc.assert(
      fc.property(
        catchUp,
        cron,
        jitterMs,
        fc.integer({ min: 0, max: 20 * 3_600_000 }),
        (policy, cron, jitterMs, downMs) => {
          const rule: DueRule = { address: 'p', cron, timezone: 'Europe/Berlin', catchUp: policy, jitterMs }
          const first = planAfter(rule, Date.parse('2026-03-28T21:00:00Z'))
          const nowMs = (first?.fireMs ?? 0) + downMs
          const decision = decideTick(rule, { plannedMs: first?.nominalMs ?? 0, afterMs: 0, nowMs })
          const seen: number[] = decision.fire.map(({ nominalMs }) => nominalMs)
          for (const { fromMs, toMs, count } of decision.passedOver) {
            const stretch = timesBetween(rule, fromMs, toMs)
            expect(stretch).toHaveLength(count)
            seen.push(...stretch)
          }
          const last = Math.max(...seen)
          expect(seen.sort((a, b) => a - b)).toEqual(timesBetween(rule, first?.nominalMs ?? 0, last))
          expect(decision.next?.nominalMs).toBe(nextNominalTime(rule, last))
          expect(decision.next?.fireMs).toBeGreaterThan(nowMs)
        },
      ),
      { seed: 4, numRuns: 100 },
    )
  })

  const timesBetween = (rule: DueRule, fromMs: number, toMs: number) => {
    const times: number[] = []
    for (let time = nextNominalTime(rule, fromMs - 1); time !== undefined && time <= toMs; ) {
      times.push(time)
      time = nextNominalTime(rule, time)
    }
    return times
  }
})

describe('jitter', () => {
  it('is the same for all that ask, below its bound, and never past the next nominal time', () => {
    const delays = Array.from({ length: 500 }, (_, index) => {
      const nominalMs = at('00:00:00') + index * 60_000
      const input = { nominalMs, nextMs: nominalMs + 60_000, jitterMs: 20_000 }
      expect(jitterOf('a', input)).toBe(jitterOf('a', input))
      return jitterOf('a', input)
    })
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(0)
    expect(Math.max(...delays)).toBeLessThanOrEqual(20_000)
    // Spread over the whole of it.
    expect(new Set(delays.map((delay) => Math.floor(delay / 2001))).size).toBe(10)
    const wide = delays.map((_, index) =>
      jitterOf('a', { nominalMs: index, nextMs: index + 1000, jitterMs: 3_600_000 }),
    )
    expect(Math.max(...wide)).toBeLessThan(1000)
    expect(jitterOf('a', { nominalMs: 5, nextMs: undefined, jitterMs: 0 })).toBe(0)
    expect(jitterOf('a', { nominalMs: 5, nextMs: 6, jitterMs: 1000 })).toBe(0)
  })

  it('moves the firing, not the nominal time', () => {
    const rule = { ...hourly, jitterMs: 600_000 }
    const next = planAfter(rule, at('02:30:00'))
    expect(next?.nominalMs).toBe(at('03:00:00'))
    expect(next?.fireMs).toBe(
      at('03:00:00') + jitterOf(rule.address, { nominalMs: at('03:00:00'), nextMs: at('04:00:00'), jitterMs: 600_000 }),
    )
    const fireMs = next?.fireMs ?? 0
    const decision = decideTick(rule, { plannedMs: at('03:00:00'), afterMs: 0, nowMs: fireMs + 5 })
    expect(decision.fire).toEqual([{ nominalMs: at('03:00:00'), lateMs: 5 }])
  })
})
