import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { type CronRule, type DST_POLICIES, nextNominalTime, nextTime, skippedGaps } from '../../src/index.ts'
import { bruteForce, MINUTE, readYear, type Year } from './oracle.ts'

const UTC = Date.parse
const timesIn = (rule: CronRule, from: string, to: string): string[] => {
  const times: string[] = []
  for (let at = nextNominalTime(rule, UTC(from) - 1); at !== undefined && at < UTC(to); at = nextNominalTime(rule, at))
    times.push(new Date(at).toISOString().replace(':00.000Z', 'Z'))
  return times
}

describe('a rule', () => {
  const at = (time: string) => UTC(`2026-03-01T${time}Z`)
  const hourly = { cron: '0 * * * *', timezone: 'UTC' }

  it('has its times in its zone, strictly after the time asked for', () => {
    expect(nextNominalTime({ cron: '0 2 * * *', timezone: 'America/Denver' }, at('00:00:00'))).toBe(at('09:00:00'))
    expect(nextNominalTime(hourly, at('02:00:00'))).toBe(at('03:00:00'))
    expect(nextNominalTime(hourly, at('01:59:59.999'))).toBe(at('02:00:00'))
  })

  it('has none before startAt or after endAt, both of them included', () => {
    const rule = { ...hourly, startAt: '2026-03-01T04:00:00Z', endAt: '2026-03-01T06:00:00+00:00' }
    expect(timesIn(rule, '2026-02-01', '2026-04-01')).toEqual([
      '2026-03-01T04:00Z',
      '2026-03-01T05:00Z',
      '2026-03-01T06:00Z',
    ])
  })

  it('of a single time has it once', () => {
    const rule = { cron: '@at', timezone: 'UTC', at: '2026-03-01T04:00:30+01:00' }
    expect(nextNominalTime(rule, at('00:00:00'))).toBe(at('03:00:30'))
    expect(nextNominalTime(rule, at('03:00:30'))).toBeUndefined()
  })

  it('of an interval counts from startAt, or from the epoch, whatever the clocks do', () => {
    const rule = { cron: '@every 90m', timezone: 'Europe/Berlin' }
    expect(nextNominalTime(rule, at('00:00:00'))).toBe(at('01:30:00'))
    expect(nextNominalTime({ ...rule, startAt: '2026-03-01T00:10:00Z' }, at('00:10:00'))).toBe(at('01:40:00'))
    expect(nextNominalTime({ ...rule, startAt: '2026-03-01T00:10:00Z' }, at('00:00:00'))).toBe(at('00:10:00'))
  })

  it.each([
    ['0 0 30 2 *', undefined],
    ['0 0 29 2 *', '2028-02-29T00:00Z'],
    ['0 0 * * 0', '2026-03-01T00:00Z'],
    ['0 0 * * 7', '2026-03-01T00:00Z'],
    ['0 0 L * *', '2026-03-31T00:00Z'],
    ['0 0 LW * *', '2026-03-31T00:00Z'],
    ['0 0 15W * *', '2026-03-16T00:00Z'],
    ['0 0 * * FRI#3', '2026-03-20T00:00Z'],
    ['0 0 * * 5L', '2026-03-27T00:00Z'],
    // A day of the month OR a weekday; AND where one of them begins with a star, as Vixie cron has it.
    ['0 0 13 * MON', '2026-03-02T00:00Z'],
    ['0 0 */2 * MON', '2026-03-09T00:00Z'],
    ['@daily', '2026-03-01T00:00Z'],
    ['@weekly', '2026-03-01T00:00Z'],
    ['@yearly', '2027-01-01T00:00Z'],
  ])('%s is next at %s', (cron, expected) => {
    const next = nextNominalTime({ cron, timezone: 'UTC' }, at('00:00:00') - 1)
    expect(next && new Date(next).toISOString().replace(':00.000Z', 'Z')).toBe(expected)
  })
})

describe('daylight saving, New York 2026', () => {
  const spring = ['2026-03-08T05:00:00Z', '2026-03-09T05:00:00Z'] as const
  const autumn = ['2026-11-01T04:00:00Z', '2026-11-02T05:00:00Z'] as const
  const newYork = (cron: string, dst?: CronRule['dst']) => ({ cron, timezone: 'America/New_York', dst })

  // 2:00 becomes 3:00 at 07:00 UTC.
  it.each([
    ['30 2 * * *', undefined, ['07:00']],
    ['30 2 * * *', 'cronos', ['07:00']],
    ['30 2 * * *', 'go', []],
    ['30 2 * * *', 'aws', []],
    ['30 2 * * *', 'shift', ['07:30']],
    ['15,45 2 * * *', 'vixie', ['07:00']],
    ['15,45 2 * * *', 'cronos', ['07:00']],
    ['15,45 2 * * *', 'shift', ['07:15', '07:45']],
    ['0 2,3 * * *', 'vixie', ['07:00']],
    ['*/30 2 * * *', 'vixie', []],
    ['*/30 2 * * *', 'cronos', ['07:00']],
    ['0,30 1-3 * * *', 'vixie', ['06:00', '06:30', '07:00', '07:30']],
    ['30 2 * * *', { gap: 'shift', overlap: 'both', interval: 'vixie' }, ['07:30']],
    ['59 2 8 3 *', { gap: 'skip', overlap: 'first', interval: 'vixie' }, []],
  ] as const)('in spring %s under %j', (cron, dst, expected) => {
    expect(timesIn(newYork(cron, dst), ...spring)).toEqual(expected.map((time) => `2026-03-08T${time}Z`))
  })

  // 2:00 becomes 1:00 at 06:00 UTC.
  it.each([
    ['30 1 * * *', 'vixie', ['05:30']],
    ['30 1 * * *', 'cronos', ['05:30']],
    ['30 1 * * *', 'go', ['05:30', '06:30']],
    ['30 1 * * *', 'aws', ['05:30']],
    ['30 1 * * *', 'shift', ['05:30']],
    ['30 1 * * *', { gap: 'auto', overlap: 'last', interval: 'vixie' }, ['06:30']],
    ['*/30 1 * * *', 'vixie', ['05:00', '05:30', '06:00', '06:30']],
    ['*/30 1 * * *', 'aws', ['05:00', '05:30']],
    ['0-30/30 1 * * *', 'vixie', ['05:00', '05:30']],
    ['0-30/30 1 * * *', 'cronos', ['05:00', '05:30', '06:00', '06:30']],
    ['0 0-2 * * *', 'vixie', ['04:00', '05:00', '07:00']],
    ['0 * * * *', { gap: 'auto', overlap: 'last', interval: 'vixie' }, undefined],
  ] as const)('in autumn %s under %j', (cron, dst, expected) => {
    const times = timesIn(newYork(cron, dst), ...autumn)
    if (expected) expect(times).toEqual(expected.map((time) => `2026-11-01T${time}Z`))
    else expect(times.slice(0, 3)).toEqual(['2026-11-01T04:00Z', '2026-11-01T06:00Z', '2026-11-01T07:00Z'])
  })

  it('says what was left out by a gap', () => {
    const days = { afterMs: UTC('2026-03-01'), untilMs: UTC('2026-04-01') }
    const [gap] = skippedGaps(newYork('*/20 * * * *'), days)
    expect(gap).toEqual({
      atMs: UTC('2026-03-08T07:00:00Z'),
      count: 3,
      fromWallMs: UTC('2026-03-08T02:00:00Z'),
      toWallMs: UTC('2026-03-08T02:40:00Z'),
    })
    expect(skippedGaps(newYork('30 2 * * *'), days)).toEqual([])
    expect(skippedGaps(newYork('30 2 * * *', 'go'), days)).toHaveLength(1)
    expect(skippedGaps(newYork('30 4 * * *', 'go'), days)).toEqual([])
  })

  it('finds the gaps of a rule that has a time a year, and passes by all other changes', () => {
    const decades = { afterMs: UTC('2026-01-01'), untilMs: UTC('2100-01-01') }
    const gaps = skippedGaps(newYork('30 2 8 3 *', 'go'), decades)
    // The clocks go forward on the second Sunday of March.
    const years = Array.from({ length: 74 }, (_, index) => 2026 + index)
    const expected = years.filter((year) => new Date(Date.UTC(year, 2, 8)).getUTCDay() === 0)
    expect(gaps.map(({ atMs }) => new Date(atMs).getUTCFullYear())).toEqual(expected)
    expect(gaps.every(({ count }) => count === 1)).toBe(true)
  })

  it('says which times a change made special', () => {
    expect(nextTime(newYork('30 2 * * *'), UTC(spring[0]))?.case).toBe('gap_end')
    expect(nextTime(newYork('30 2 * * *', 'shift'), UTC(spring[0]))?.case).toBe('gap_shift')
    expect(nextTime(newYork('30 1 * * *'), UTC(autumn[0]))?.case).toBe('repeat_first')
    expect(nextTime(newYork('30 1 * * *', 'go'), UTC('2026-11-01T05:30:00Z'))?.case).toBe('repeat_last')
    expect(nextTime(newYork('30 3 * * *'), UTC(spring[0]))).not.toHaveProperty('case')
  })
})

describe('odd zones', () => {
  it.each([
    ['Asia/Kathmandu', '0 2 * * *', '2026-06-01T00:00:00Z', '2026-06-02T00:00:00Z', ['2026-06-01T20:15Z']],
    // Half an hour: 2:00 becomes 2:30 on 4 October, 2:00 becomes 1:30 on 5 April.
    ['Australia/Lord_Howe', '15 2 * * *', '2026-10-03T12:00:00Z', '2026-10-04T12:00:00Z', ['2026-10-03T15:30Z']],
    ['Australia/Lord_Howe', '45 1 * * *', '2026-04-04T12:00:00Z', '2026-04-05T12:00:00Z', ['2026-04-04T14:45Z']],
    [
      'Australia/Lord_Howe',
      '*/15 1 * * *',
      '2026-04-04T13:00:00Z',
      '2026-04-05T12:00:00Z',
      [
        '2026-04-04T14:00Z',
        '2026-04-04T14:15Z',
        '2026-04-04T14:30Z',
        '2026-04-04T14:45Z',
        '2026-04-04T15:00Z',
        '2026-04-04T15:15Z',
      ],
    ],
    // At midnight: the day began at 1:00 on 4 November 2018, and Saturday 17 February had its last hour twice.
    ['America/Sao_Paulo', '0 0 * * *', '2018-11-03T12:00:00Z', '2018-11-04T12:00:00Z', ['2018-11-04T03:00Z']],
    ['America/Sao_Paulo', '30 23 * * *', '2018-02-17T12:00:00Z', '2018-02-18T12:00:00Z', ['2018-02-18T01:30Z']],
    ['Asia/Beirut', '0 0 * * *', '2024-03-30T12:00:00Z', '2024-03-31T12:00:00Z', ['2024-03-30T22:00Z']],
    // 30 December 2011 never was. A job of that day runs as the next one begins; 29 December is followed by the 31st.
    ['Pacific/Apia', '0 2 30 12 *', '2011-12-01T00:00:00Z', '2012-01-15T00:00:00Z', ['2011-12-30T10:00Z']],
    [
      'Pacific/Apia',
      '0 2 * * *',
      '2011-12-29T00:00:00Z',
      '2012-01-01T00:00:00Z',
      ['2011-12-29T12:00Z', '2011-12-30T10:00Z', '2011-12-30T12:00Z', '2011-12-31T12:00Z'],
    ],
    // Winter time is the exception there; what counts is what the clock does.
    ['Europe/Dublin', '30 1 * * *', '2026-03-28T12:00:00Z', '2026-03-29T12:00:00Z', ['2026-03-29T01:00Z']],
    ['Europe/Dublin', '30 1 * * *', '2026-10-24T12:00:00Z', '2026-10-25T12:00:00Z', ['2026-10-25T00:30Z']],
    // Back for Ramadan at 3:00 on 15 February, forth again at 2:00 on 22 March.
    ['Africa/Casablanca', '30 2 * * *', '2026-02-14T12:00:00Z', '2026-02-15T12:00:00Z', ['2026-02-15T01:30Z']],
    ['Africa/Casablanca', '30 2 * * *', '2026-03-21T12:00:00Z', '2026-03-22T12:00:00Z', ['2026-03-22T02:00Z']],
  ] as const)('%s: %s', (timezone, cron, from, to, expected) => {
    expect(timesIn({ cron, timezone }, from, to)).toEqual(expected)
  })

  it('a skipped day is left out where gaps are skipped', () => {
    const rule = { cron: '0 2 30 12 *', timezone: 'Pacific/Apia', dst: 'go' } as const
    expect(nextNominalTime(rule, UTC('2011-12-01T00:00:00Z'))).toBe(UTC('2012-12-29T12:00:00Z'))
  })
})

describe('against a look at each minute of a year', () => {
  const years: [timezone: string, year: number][] = [
    ['America/New_York', 2026],
    ['Australia/Lord_Howe', 2026],
    ['America/Sao_Paulo', 2018],
    ['Asia/Beirut', 2024],
    ['Pacific/Apia', 2011],
    ['Europe/Dublin', 2026],
    ['Africa/Casablanca', 2026],
    ['Asia/Kathmandu', 2026],
    ['America/St_Johns', 2010],
    ['Antarctica/Troll', 2026],
  ]
  const number = (min: number, max: number) => fc.integer({ min, max })
  const field = (min: number, max: number, values = fc.constant('*')) =>
    fc.oneof(
      number(min, max).map(String),
      fc.tuple(number(min, max), number(min, max)).map(([a, b]) => `${Math.min(a, b)}-${Math.max(a, b)}`),
      fc
        .uniqueArray(number(min, max), { minLength: 2, maxLength: 4 })
        .map((list) => list.sort((a, b) => a - b).join(',')),
      number(2, 20).map((step) => `*/${Math.min(step, max)}`),
      values,
    )
  // Weighted towards the hours in which clocks change.
  const hour = fc.oneof(field(0, 23), number(0, 3).map(String), fc.constantFrom('0-3', '*', '*/2', '1,2'))
  const day = fc.oneof({ weight: 3, arbitrary: fc.constant('*') }, { weight: 1, arbitrary: field(1, 31) })
  const month = fc.oneof({ weight: 4, arbitrary: fc.constant('*') }, { weight: 1, arbitrary: field(1, 12) })
  const weekday = fc.oneof({ weight: 3, arbitrary: fc.constant('*') }, { weight: 1, arbitrary: field(0, 7) })
  const expression = fc.tuple(field(0, 59), hour, day, month, weekday).map((fields) => fields.join(' '))
  const policy = fc.record({
    gap: fc.constantFrom('skip', 'end', 'shift', 'auto'),
    overlap: fc.constantFrom('first', 'last', 'both', 'auto'),
    interval: fc.constant('vixie' as const),
  })

  it.each(years)(
    '%s %i',
    (timezone, number) => {
      const year = readYear(timezone, number)
      fc.assert(
        fc.property(expression, policy, (cron, dst) => compare(year, { cron, timezone, dst })),
        { seed: 20_260_308, numRuns: 12 },
      )
    },
    60_000,
  )

  const compare = (year: Year, rule: CronRule & { dst: typeof DST_POLICIES.vixie }) => {
    const expected = bruteForce(year, rule.cron, rule.dst)
    const DAY = 86_400_000
    // Two days at either end are left to the neighbouring years.
    const first = expected.findIndex((at) => at > year.fromMs + 2 * DAY)
    const stride = Math.ceil(expected.length / 300)
    for (let index = Math.max(1, first); index < expected.length; index++) {
      const [before, at] = [expected[index - 1] as number, expected[index] as number]
      if (at > year.toMs - 2 * DAY) return
      const near = year.changes.some((change) => Math.abs(change - at) < 2 * DAY)
      if (!near && index % stride !== 0) continue
      expect(nextNominalTime(rule, before)).toBe(at)
      // Strictly greater, and the same for every time in between.
      expect(nextNominalTime(rule, at - 1)).toBe(at)
      expect(nextNominalTime(rule, before + Math.floor((at - before) / (2 * MINUTE)) * MINUTE)).toBe(at)
    }
  }
})
