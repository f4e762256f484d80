import { describe, expect, it } from 'vitest'
import { CHECK_NAMES, type CheckName, type Evidence, judge } from './checks.ts'
import { judgeMemory } from './memory.ts'
import { FAULT_NAMES, planFaults, type Step } from './plan.ts'
import { measureStalls } from './stalls.ts'
import { createFolding, type JobFacts, type Witnessed } from './witness.ts'

const DONE = 'job.succeeded'
const job = (over: Partial<JobFacts> = {}): JobFacts => ({
  ...{ queue: 'mail', enqueued: 1, ends: [DONE], settled: [1] },
  ...over,
})
const jobs = (over: Partial<JobFacts> = {}) => new Map([['job_1', job(over)]])
const balance = (over = {}) => ({
  ...{ queue: 'mail', accepted: 1, succeeded: 1, dead: 0, cancelled: 0, expired: 0 },
  ...{ waiting: 0, scheduled: 0, running: 0, imbalance: 0, ...over },
})
const at = (second: number) => new Date(second * 1000).toISOString()
const row = (second: number, over = {}) => ({ at: at(second), state: 'fired', jobId: `tick_${second}`, ...over })
const ticked = (seconds: readonly number[]) =>
  new Map(seconds.map((second) => [`tick_${second}`, job({ queue: 'schedule:a' })] as const))
const schedule = (over = {}) => ({
  ...{ name: 'a', fired: [at(1), at(2)], ledger: [row(2), row(1)], intervalMs: 1000 },
  ...over,
})

/** A run in which everything holds, to plant violations in. */
const GOOD: Evidence = {
  balances: [balance()],
  accepted: new Map([['job_1', 'mail']]),
  jobs: jobs(),
  answered: new Set(['job_1']),
  events: new Set(['event-1']),
  eventJobs: new Map([['event-1', new Set(['job_2'])]]),
  running: [{ place: 'mail', limit: 2, most: 2 }],
  schedules: [],
  trails: [{ partition: 0, facts: ['evt_1', 'evt_2'], records: ['evt_1', 'evt_2'] }],
  verdict: { valid: true, broken: [] },
  pending: [{ queue: 'mail', entry: '1-0', owner: 'here' }],
  owners: new Set(['here']),
  surprises: [],
}
const WITH_TICKS: Evidence = {
  ...GOOD,
  schedules: [schedule()],
  jobs: new Map([...jobs(), ...ticked([1, 2])]),
  answered: new Set(['job_1', 'tick_1', 'tick_2']),
}

const lostJob: CheckName = 'no accepted job or event is lost'
const twice: CheckName = 'no attempt is settled twice'
const times: CheckName = 'each nominal time once in the ledger'
const records: CheckName = 'one audit record per fact'
const conservation: CheckName = 'conservation holds in every queue'
const trail = (facts: string[], recorded: string[]) => ({ trails: [{ partition: 0, facts, records: recorded }] })

describe('the checks of a run', () => {
  it('say nothing against one in which everything holds', () => {
    for (const evidence of [GOOD, WITH_TICKS]) expect([...judge(evidence).values()].flat()).toEqual([])
  })

  it.each<[string, CheckName, Partial<Evidence>, RegExp]>([
    [
      'a counter that does not add up',
      conservation,
      { balances: [balance({ imbalance: 1 })] },
      /mail is out of balance by 1/,
    ],
    [
      'a job that never comes to rest',
      conservation,
      { balances: [balance({ waiting: 1 })] },
      /mail has not come to rest/,
    ],
    [
      'a job that is counted and not in the log',
      conservation,
      { balances: [balance({ accepted: 2 })] },
      /counts 2 jobs, its log has 1/,
    ],
    [
      'an accepted job that is nowhere',
      lostJob,
      { accepted: new Map([['job_9', 'mail']]) },
      /job_9 of mail was accepted and is not in the log/,
    ],
    [
      'an accepted job without an end',
      lostJob,
      { jobs: jobs({ ends: [] }) },
      /job_1 of mail was accepted and has no end/,
    ],
    [
      'a job called done that nobody did',
      lostJob,
      { answered: new Set<string>() },
      /job_1 of mail is called done and was never answered/,
    ],
    [
      'an event that came to nobody',
      lostJob,
      { eventJobs: new Map() },
      /event-1 was accepted and came to its subscription as 0 jobs/,
    ],
    [
      'an event that came as two jobs',
      lostJob,
      { eventJobs: new Map([['event-1', new Set(['a', 'b'])]]) },
      /as 2 jobs/,
    ],
    [
      'an attempt that was settled twice',
      twice,
      { jobs: jobs({ settled: [1, 2, 2] }) },
      /job_1 settled its attempts 1, 2, 2/,
    ],
    ['a job that ended twice', twice, { jobs: jobs({ ends: [DONE, DONE] }) }, /job_1 ended 2 times/],
    ['a job that was enqueued twice', twice, { jobs: jobs({ enqueued: 2 }) }, /job_1 was enqueued 2 times/],
    [
      'a queue beyond its limit',
      'in flight never over the limit',
      { running: [{ place: 'orders x', limit: 1, most: 2 }] },
      /orders x ran 2 jobs at once, its limit is 1/,
    ],
    [
      'a fact without a record',
      records,
      trail(['evt_1', 'evt_2'], ['evt_1']),
      /2 facts and 1 records; number 1 is evt_2/,
    ],
    [
      'a record that is there twice',
      records,
      trail(['evt_1', 'evt_2'], ['evt_1', 'evt_1', 'evt_2']),
      /number 1 is evt_2 in the log and evt_1/,
    ],
    ['records behind the last fact', records, trail(['evt_1'], ['evt_1', 'evt_2']), /1 facts and 2 records/],
    [
      'a broken chain',
      'the chain verifies',
      { verdict: { valid: false, broken: ['x'] } },
      /the trail is not valid: \["x"\]/,
    ],
    [
      'an entry in nobody’s hands',
      'nothing in hand without an owner',
      { owners: new Set<string>() },
      /1-0 of mail is in hand of here/,
    ],
    ['an answer that no fault explains', 'nothing that no fault explains', { surprises: ['500'] }, /500/],
  ])('notice %s', (_what, check, planted, complaint) => {
    const said = judge({ ...GOOD, ...planted }).get(check)
    expect(said).toEqual([expect.stringMatching(complaint)])
  })

  it.each<[string, Parameters<typeof schedule>[0], RegExp]>([
    ['a nominal time that fired twice', { fired: [at(1), at(1), at(2)] }, /01.000Z is there twice/],
    [
      'a nominal time that never came',
      { ledger: [row(1), row(3, { jobId: 'tick_2' })] },
      /1 times are missing before .*03.000Z/,
    ],
    ['one that was skipped', { ledger: [row(1), row(2, { state: 'skipped' })] }, /02.000Z is skipped/],
    ['one without its job', { ledger: [row(1), row(2, { jobId: 'job_8' })] }, /02.000Z fired without a job/],
    ['two with one job', { ledger: [row(1), row(2, { jobId: 'tick_1' })] }, /two nominal times share a job/],
    ['a schedule that does nothing', { fired: [], ledger: [] }, /schedule a: never fired/],
  ])('notice %s', (_what, planted, complaint) => {
    const said = judge({ ...WITH_TICKS, schedules: [schedule(planted)] }).get(times)
    expect(said).toEqual([expect.stringMatching(complaint)])
  })

  it('are all tried here', () => {
    expect(CHECK_NAMES).toHaveLength(9)
  })
})

const witnessed = (): Witnessed => ({
  ...{ jobs: new Map(), mostRunning: new Map(), fired: new Map(), facts: new Map(), takenOver: 0 },
})

/** Tells the facts of a queue's jobs to who reads along. */
function teller(seen: Witnessed, queue: string) {
  const fold = createFolding(seen)
  let sequence = 0
  return (type: string, entityId: string, data: unknown = {}) =>
    fold({
      ...{ position: `1-${sequence++}`, partition: 0, kind: 'job', namespace: 'chaos', queue, endsEntry: true },
      ...{ type, entityId, data: JSON.stringify(data) },
    })
}

describe('who reads along in the log', () => {
  it('counts what runs at once, in a queue and of a key, and each attempt that was settled', () => {
    const seen = witnessed()
    const say = teller(seen, 'orders')
    for (const id of ['a', 'b']) say('job.enqueued', id, { meta: { key: 'k' } })
    say('job.started', 'a', { attempt: 1 })
    say('job.started', 'b', { attempt: 1 })
    say('job.attempt_failed', 'a', { attempt: 1 })
    say('job.attempt_failed', 'b', { attempt: 1, counted: false })
    say('job.started', 'a', { attempt: 2 })
    say(DONE, 'a', { attempt: 2 })
    expect(Object.fromEntries(seen.mostRunning)).toEqual({ orders: 2, 'orders k': 2 })
    expect(seen.jobs.get('a')).toEqual({ queue: 'orders', enqueued: 1, ends: [DONE], settled: [1, 2] })
    expect(seen.jobs.get('b')?.settled).toEqual([])
  })

  it('counts what was claimed ahead from when it may begin', () => {
    const seen = witnessed()
    const say = teller(seen, 'mail')
    const ahead = { consumer: 'd1', prefetched: true }
    say('job.started', 'a', { consumer: 'd1' })
    say('job.started', 'b', ahead)
    say('job.started', 'c', ahead)
    expect(seen.mostRunning.get('mail')).toBe(1)
    say(DONE, 'a', { attempt: 1 })
    say('job.attempt_failed', 'c', { attempt: 1, counted: false })
    expect(seen.mostRunning.get('mail'), 'b runs in the place of a, and c was given back').toBe(1)
    say('job.started', 'c', ahead)
    say('job.taken_over', 'c', { from: 'd1', consumer: 'd2' })
    say('job.started', 'd', { consumer: 'd2' })
    expect(seen.mostRunning.get('mail'), 'what may begin does so in order').toBe(3)
  })
})

describe('the plan of a run', () => {
  const options = {
    ...{ faults: FAULT_NAMES, doublePercent: 50, scale: 1, pauseMs: [0, 100] as const },
    targets: {
      dispatcher: ['d1', 'd2'],
      scheduler: ['s1'],
      audit: ['a1'],
      worker: ['w1'],
      single: ['redis'],
      sqlite: ['store'],
    },
  }
  const steps = (seed: number) => {
    const plan = planFaults({ ...options, seed })
    return Array.from({ length: 40 }, () => plan.next().value as Step)
  }

  it('is the same for the same seed, and another for another', () => {
    expect(steps(7)).toEqual(steps(7))
    expect(steps(7)).not.toEqual(steps(8))
  })

  it('has every fault that can be once before any comes again, and never two on one target at once', () => {
    const drawn = steps(7).flatMap(({ faults }) => faults.map(({ fault }) => fault))
    const elsewhere: readonly string[] = ['database kill', 'primary kill', 'slot move']
    const possible = FAULT_NAMES.filter((name) => !elsewhere.includes(name) && !name.startsWith('node '))
    expect(drawn.slice(0, possible.length).toSorted()).toEqual(possible.toSorted())
    for (const { faults } of steps(7)) expect(new Set(faults.map(({ target }) => target)).size).toBe(faults.length)
  })
})

describe('the longest stall of a fault', () => {
  it('is the longest silence that it touches', () => {
    const fault = { fault: 'cut', target: 'dispatcher-1', forMs: 10, fromMs: 1000, toMs: 2000 } as const
    const none: number[] = []
    const progress = { push: [0, 900, 1100, 1900, 4000, 9000], pull: none, ticks: [900, 2100, 9000], audit: none }
    expect(measureStalls([fault], progress)).toEqual([
      { fault: 'cut', times: 1, stallMs: { push: 2100, pull: 0, ticks: 1200, audit: 0 } },
    ])
  })
})

describe('memory', () => {
  const samples = (mib: (minute: number) => number) =>
    Array.from({ length: 20 }, (_, minute) => ({ atMs: minute * 60_000, mib: { app: mib(minute) } }))

  it.each([
    ['level', () => 100, true],
    ['a saw', (minute: number) => 100 + (minute % 4) * 5, true],
    ['a rise while it warms up', (minute: number) => Math.min(300, 50 + minute * 60), true],
    ['a leak', (minute: number) => 100 + minute * 3, false],
  ])('that is %s is flat: %s', (_what, mib, isFlat) => {
    expect(judgeMemory(samples(mib))[0]?.isFlat).toBe(isFlat)
  })

  it('of a process that is away at the end is judged all the same', () => {
    const leaking = samples((minute) => 100 + minute * 3)
    expect(judgeMemory([...leaking, { atMs: 20 * 60_000, mib: {} }])).toMatchObject([{ name: 'app', isFlat: false }])
  })
})
