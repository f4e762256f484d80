import { describe, expect, it } from 'vitest'
import {
  checkCron,
  checkTimezone,
  describeRule,
  parseDuration,
  previewRule,
  previewSteps,
  ruleOfText,
  ruleText,
} from '../../src/index.ts'

describe('a cron expression', () => {
  it.each([
    '*/15 * * * *',
    '0 9 * * 1-5',
    '0 2 1 * *',
    '0 0 * * 7',
    '0 0 * JAN SUN',
    '0 0 L * *',
    '0 0 LW * *',
    '0 0 15W * *',
    '0 0 * * 5#3',
    '0 0 * * FRI#L',
    '1-10/3,50 * * * *',
    '@daily',
    '@hourly',
    '@every 1s',
    '@every 1h30m',
    '0 0 31 2 *',
  ])('%s is accepted', (cron) => {
    expect(checkCron(cron)).toBeUndefined()
  })

  it.each([
    ['0 0 2 * * *', /6 parts.*leave out the first part, "0 2 \* \* \*"/],
    ['0 2 * *', /has 4 parts; five are expected/],
    ['60 * * * *', /the minute "60" \(out of range\). It takes 0 to 59, for example \*\/15/],
    ['0 24 * * *', /the hour "24".*0 to 23/],
    ['0 0 0 * *', /the day of the month "0"/],
    ['0 0 32 * *', /the day of the month "32"/],
    ['0 0 * 13 *', /the month "13".*JAN to DEC/],
    ['0 0 * * 8', /the weekday "8".*SUN to SAT/],
    ['5-1 * * * *', /the minute "5-1" \(From value is larger/],
    ['*/0 * * * *', /the minute "\*\/0"/],
    ['1,,2 * * * *', /the minute "1,,2"/],
    ['? * * * *', /Use \* for any value/],
    ['x * * * *', /the minute "x"/],
    ['@dayly', /not a known nickname; known are @yearly/],
    ['@every', /needs a duration such as @every 90s/],
    ['@every 5', /needs a duration/],
    ['@every 500ms', /one second is the shortest/],
    ['@every 400d', /a year is the longest/],
  ])('%s is refused with the field and the fix', (cron, message) => {
    expect(checkCron(cron)).toMatch(message)
  })

  it.each([
    { cron: '0 2 * * MON-FRI', timezone: 'America/Denver' },
    { cron: '@every 90s', timezone: 'UTC', startAt: '2026-01-01T00:00:00Z' },
    { cron: '@daily', timezone: 'UTC', dst: { gap: 'skip', overlap: 'both', interval: 'vixie' } as const },
    { cron: '@at 2026-12-24T18:00:00Z', timezone: 'UTC', at: '2026-12-24T18:00:00Z' },
  ])('can be read from its text: $cron', (rule) => {
    expect(ruleOfText(ruleText(rule))).toEqual(rule)
  })

  it.each(['', 'a', '0 2 * * *', '0 2 * * * Mars/Base', '61 * * * * UTC'])('is none in the text %j', (text) => {
    expect(ruleOfText(text)).toBeUndefined()
  })

  it('has one text per rule, so that spacing is no change, and the text of earlier versions', () => {
    expect(ruleText({ cron: ' 0  2 * * * ', timezone: 'UTC' })).toBe('0 2 * * * UTC')
    expect(ruleText({ cron: '0 2 * * *', timezone: 'UTC', dst: 'vixie' })).toBe('0 2 * * * UTC')
    expect(ruleText({ cron: '0 2 * * *', timezone: 'UTC', dst: 'go' })).toBe('0 2 * * * UTC {"dst":"go"}')
  })
})

it.each([
  ['90s', 90_000],
  ['1h30m', 5_400_000],
  ['2d', 172_800_000],
  ['1m500ms', 60_500],
  ['', undefined],
  ['1.5h', undefined],
  ['30m1h', undefined],
])('the duration %s is %s ms', (text, expected) => {
  expect(parseDuration(text)).toBe(expected)
})

it.each([
  ['America/Denver', undefined],
  ['UTC', undefined],
  ['America/Denvr', /not a known time zone/],
  ['+05:30', /is an offset/],
  ['', /not a known time zone/],
])('the zone %s', (timezone, message) => {
  if (message) expect(checkTimezone(timezone)).toMatch(message)
  else expect(checkTimezone(timezone)).toBeUndefined()
})

describe('a rule in plain words', () => {
  it.each([
    ['0 2 * * 1-5', 'at 02:00 on weekdays, America/Denver'],
    ['0 2 * * *', 'at 02:00, America/Denver'],
    ['*/15 * * * *', 'every 15 minutes, America/Denver'],
    ['0 9 1 * *', 'at 09:00 on day 1 of the month, America/Denver'],
    ['0 9 1 * 1', 'at 09:00 on day 1 of the month, or on Monday, America/Denver'],
    ['0 9 1 * 1-5', 'at 09:00 on day 1 of the month, or on weekdays, America/Denver'],
    ['0 9 */2 * 1', 'at 09:00, every 2 days in a month, and on Monday, America/Denver'],
    ['0 0 31 2 *', 'at 00:00 on day 31 of the month in February, America/Denver'],
    ['0 0 * JAN SUN', 'at 00:00 on Sunday in January, America/Denver'],
    ['0 0 LW * *', 'at 00:00 on the last weekday of the month, America/Denver'],
    ['0 0 * * 5#3', 'at 00:00 on the third Friday of the month, America/Denver'],
    ['0 0 * * FRI#L', 'at "0 0 * * FRI#L", America/Denver'],
    ['@hourly', 'every hour, America/Denver'],
    ['@every 90m', 'every 1 h 30 min'],
  ])('%s: %s', (cron, expected) => {
    expect(describeRule({ cron, timezone: 'America/Denver' })).toBe(expected)
  })

  it('of a single time names it', () => {
    expect(describeRule({ cron: '', timezone: 'UTC', at: '2026-12-24T19:00:00+01:00' })).toBe(
      'once, at 2026-12-24T18:00:00.000Z',
    )
  })
})

describe('a preview', () => {
  const preview = (cron: string, from: string, count = 2) =>
    previewRule({ cron, timezone: 'America/New_York' }, { fromMs: Date.parse(from), count })

  it('shows local time and offset, what a gap does, and what the other presets would do', () => {
    const { times, description, presets } = preview('30 2 * * *', '2026-03-07T12:00:00Z')
    expect(description).toBe('at 02:30, America/New_York')
    expect(times).toEqual([
      {
        at: '2026-03-08T07:00:00.000Z',
        local: '2026-03-08T03:00',
        offset: '-04:00',
        note: '2026-03-08T02:30 does not exist: at the end of the gap',
      },
      { at: '2026-03-09T06:30:00.000Z', local: '2026-03-09T02:30', offset: '-04:00' },
    ])
    expect(Object.keys(presets)).toEqual(['vixie', 'cronos', 'go', 'aws', 'shift'])
    expect(presets.vixie).toEqual(times)
    expect(presets.shift[0]).toMatchObject({ at: '2026-03-08T07:30:00.000Z', local: '2026-03-08T03:30' })
    expect(presets.go[0]).toMatchObject({
      local: '2026-03-09T02:30',
      note: 'before it 2026-03-08T02:30 did not exist and was skipped',
    })
  })

  it('says of a wall-clock time that comes twice which one it is', () => {
    const { times, presets } = preview('30 1 * * *', '2026-11-01T00:00:00Z')
    expect(times[0]).toMatchObject({ offset: '-04:00', note: 'this wall-clock time comes twice: the first' })
    expect(presets.go.map(({ offset }) => offset)).toEqual(['-04:00', '-05:00'])
    expect(presets.go[1]?.note).toBe('this wall-clock time comes twice: the second')
  })

  it('stops behind each time, so that others get their turn', () => {
    const rule = { cron: '0 0 * 2 1#5', timezone: 'America/New_York' }
    const steps = previewSteps(rule, { fromMs: Date.parse('2026-03-07T12:00:00Z'), count: 3 })
    let step = steps.next()
    let stops = 0
    for (; !step.done; step = steps.next()) stops++
    expect(step.value.times.map(({ local }) => local.slice(0, 4))).toEqual(['2044', '2072', '2112'])
    // The rule itself, and each of the presets.
    expect(stops).toBe(3 * (1 + Object.keys(step.value.presets).length))
  })

  it('of a rule that never fires is empty', () => {
    expect(preview('0 0 31 2 *', '2026-03-07T12:00:00Z').times).toEqual([])
  })
})
