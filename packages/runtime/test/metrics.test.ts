import type { MetricDefinitions } from '@millrace/contracts'
import { describe, expect, it } from 'vitest'
import { createMetrics } from '../src/index.ts'

const DEFINITIONS = {
  done: {
    name: 'millrace_test_done_total',
    type: 'counter',
    unit: 'jobs',
    help: 'Jobs that are done',
    subject: 'queue',
    labels: { outcome: ['good', 'bad'] },
  },
  took: {
    name: 'millrace_test_duration_seconds',
    type: 'histogram',
    unit: 'seconds',
    help: 'How long it took',
    subject: 'queue',
    buckets: [0.1, 1],
  },
  waiting: gauge('waiting_jobs', 'sum'),
  longest: gauge('longest_jobs', 'max'),
  oldest: gauge('oldest_timestamp_seconds', 'earliest'),
  runs: { name: 'millrace_test_runs_total', type: 'counter', unit: 'times', help: 'Runs' },
} as const satisfies MetricDefinitions

function gauge<const Rest extends 'sum' | 'max' | 'earliest'>(name: string, rest: Rest) {
  const help = 'What stands there'
  return { name: `millrace_test_${name}`, type: 'gauge', unit: 'jobs', help, subject: 'queue', rest } as const
}

function metricsOf({ maxNames = 10 } = {}) {
  const metrics = createMetrics({ app: 'test', version: '1.2.3', maxNames })
  return { metrics, ...metrics.instruments(DEFINITIONS) }
}
type Measured = ReturnType<typeof metricsOf>['metrics']

const OPEN = 'application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.4'

/** The samples of our test metrics, each line by what stands before its value. */
async function samplesOf(metrics: Measured, accept?: string): Promise<Record<string, string>> {
  const { text } = await metrics.expose(accept)
  const lines = text.split('\n').filter((line) => line.startsWith('millrace_test_'))
  return Object.fromEntries(
    lines.map((line) => [line.slice(0, line.indexOf('} ') + 1), line.slice(line.indexOf('} ') + 2)]),
  )
}

const queue = (name: string) => ({ namespace: 'shop', queue: name })
const series = (name: string, queue: string, more = '') =>
  `millrace_test_${name}{namespace="${queue === '_other' ? '_other' : 'shop'}",queue="${queue}"${more},app="test"}`

describe('metrics', () => {
  it('show a counter at 0 as soon as somebody holds its cell, so that the first increase is seen as one', async () => {
    const { metrics, done } = metricsOf()
    const cell = done.labels({ ...queue('mail'), outcome: 'bad' })
    expect(await samplesOf(metrics)).toMatchObject({ [series('done_total', 'mail', ',outcome="bad"')]: '0' })
    cell.inc(2)
    done.inc({ ...queue('mail'), outcome: 'bad' })
    expect(await samplesOf(metrics)).toMatchObject({ [series('done_total', 'mail', ',outcome="bad"')]: '3' })
  })

  it('show a metric without labels from the start', async () => {
    const { metrics } = metricsOf()
    expect(await samplesOf(metrics)).toMatchObject({ 'millrace_test_runs_total{app="test"}': '0' })
  })

  it('put a value into the first bucket that is not below it, and count it in all above', async () => {
    const { metrics, took } = metricsOf()
    for (const seconds of [0.1, 0.11, 1, 7]) took.observe(queue('mail'), seconds)
    const labels = 'app="test",namespace="shop",queue="mail"}'
    expect(await samplesOf(metrics)).toMatchObject({
      [`millrace_test_duration_seconds_bucket{le="0.1",${labels}`]: '1',
      [`millrace_test_duration_seconds_bucket{le="1",${labels}`]: '3',
      [`millrace_test_duration_seconds_bucket{le="+Inf",${labels}`]: '4',
      [`millrace_test_duration_seconds_sum{${labels}`]: '8.21',
      [`millrace_test_duration_seconds_count{${labels}`]: '4',
    })
  })

  it('say what runs', async () => {
    const { text } = await metricsOf().metrics.expose()
    expect(text).toContain(`millrace_build_info{version="1.2.3",node="${process.version}",app="test"} 1`)
    expect(text).toMatch(/^nodejs_eventloop_lag_seconds\{app="test"\} /m)
  })
})

describe('beyond the limit of names', () => {
  it('counts and histograms are added up under _other', async () => {
    const { metrics, done, took } = metricsOf({ maxNames: 2 })
    for (const name of ['a', 'b', 'c', 'd']) {
      done.inc({ ...queue(name), outcome: 'good' }, 5)
      took.observe(queue(name), 0.5)
    }
    const samples = await samplesOf(metrics)
    const names = Object.keys(samples).filter((key) => key.startsWith('millrace_test_done_total'))
    expect(names).toEqual(['a', 'b', '_other'].map((name) => series('done_total', name, ',outcome="good"')))
    expect(samples[series('done_total', '_other', ',outcome="good"')]).toBe('10')
    expect(samples['millrace_test_duration_seconds_count{app="test",namespace="_other",queue="_other"}']).toBe('2')
  })

  it('a gauge shows the sum, the largest or the earliest of the rest, and never leaves a name behind', async () => {
    const { metrics, waiting, longest, oldest } = metricsOf({ maxNames: 1 })
    const values = { a: 100, b: 7, c: 0, d: 3 }
    for (const [name, value] of Object.entries(values))
      for (const one of [waiting, longest, oldest]) one.set(queue(name), value)
    expect(await samplesOf(metrics)).toMatchObject({
      [series('waiting_jobs', 'a')]: '100',
      [series('waiting_jobs', '_other')]: '10',
      [series('longest_jobs', '_other')]: '7',
      [series('oldest_timestamp_seconds', '_other')]: '3',
    })
    for (const name of ['b', 'c', 'd']) metrics.forget('queue', queue(name))
    expect(Object.keys(await samplesOf(metrics)).filter((key) => key.includes('_other'))).toEqual([])
  })

  it('the number of series stays what it is, however many queues there are', async () => {
    const { metrics, ...instruments } = metricsOf({ maxNames: 20 })
    const count = async (queues: number) => {
      for (let n = 0; n < queues; n++) {
        instruments.done.inc({ ...queue(`q${n}`), outcome: 'good' })
        instruments.took.observe(queue(`q${n}`), 1)
        instruments.waiting.set(queue(`q${n}`), 1)
      }
      return Object.keys(await samplesOf(metrics)).length
    }
    const few = await count(21)
    expect(await count(2000)).toBe(few)
  })

  it('a queue that is forgotten makes room for the next, and its own values are gone', async () => {
    const { metrics, done } = metricsOf({ maxNames: 1 })
    done.inc({ ...queue('a'), outcome: 'good' })
    metrics.forget('queue', queue('a'))
    done.inc({ ...queue('b'), outcome: 'good' })
    const names = Object.keys(await samplesOf(metrics)).filter((key) => key.includes('done_total'))
    expect(names).toEqual([series('done_total', 'b', ',outcome="good"')])
  })
})

describe('OpenMetrics', () => {
  const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'

  it('is what gets whoever accepts it, and has the trace of a value in each bucket', async () => {
    const { metrics, took } = metricsOf()
    took.observe(queue('mail'), 0.25, `00-${traceId}-00f067aa0ba902b7-01`)
    took.observe(queue('mail'), 0.05)
    const { contentType, text } = await metrics.expose(OPEN)
    expect(contentType).toMatch(/^application\/openmetrics-text; version=1\.0\.0/)
    expect(text.endsWith('\n# EOF\n')).toBe(true)
    const samples = await samplesOf(metrics, OPEN)
    const bucket = (le: string) =>
      samples[`millrace_test_duration_seconds_bucket{le="${le}",app="test",namespace="shop",queue="mail"}`]
    expect(bucket('1')).toMatch(new RegExp(`^2 # \\{trace_id="${traceId}"\\} 0\\.25 \\d+\\.\\d+$`))
    expect(bucket('0.1'), 'nothing in it had a trace').toBe('1')
  })

  it('and the older format can be asked for at the same time, each with the names that it wants', async () => {
    const { metrics, done, took } = metricsOf()
    done.inc({ ...queue('mail'), outcome: 'good' })
    took.observe(queue('mail'), 0.25, `00-${traceId}-00f067aa0ba902b7-01`)
    const [open, plain, openAgain] = await Promise.all([metrics.expose(OPEN), metrics.expose(), metrics.expose(OPEN)])
    expect(open.text).toContain('# TYPE millrace_test_done counter\nmillrace_test_done_total{')
    expect(openAgain.text).toContain('# TYPE millrace_test_done counter\nmillrace_test_done_total{')
    expect(plain.text).toContain('# TYPE millrace_test_done_total counter\nmillrace_test_done_total{')
    expect(plain.text).not.toContain('trace_id')
    expect(plain.contentType).toMatch(/^text\/plain; version=0\.0\.4/)
  })
})
