import { once } from 'node:events'
import { cancel } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import { type AttemptReport, type Job, NoRetry, RetryAfter } from '../src/index.ts'
import { usePulling } from './pull-fixture.ts'

const pulling = usePulling()
const { start } = pulling

/** A handler that does not end before its signal is aborted. */
async function untilAborted(job: Job): Promise<void> {
  if (!job.signal.aborted) await once(job.signal, 'abort')
}

describe('a handler', () => {
  it('gets a job as its producer sent it, and what it returns is kept with the job', async () => {
    await pulling.rig.declare('resize', { retries: 2 })
    const seen: Job[] = []
    await start('resize', async (job) => {
      seen.push(job)
      return { width: (job.data as { width: number }).width * 2 }
    })
    const raw = '{"width":21, "id":9007199254740993,"name":"łó𝕏"}'
    const [id] = await pulling.rig.add('resize', [raw], { key: 'tenant-1', traceparent: '00-1-2-01' })
    await pulling.rig.until('resize', { succeeded: 1 })
    const [job] = seen
    expect(job).toMatchObject({ id, queue: 'resize', raw, attempt: 1, maxAttempts: 3, epoch: 1, key: 'tenant-1' })
    expect(job?.traceparent).toBe('00-1-2-01')
    expect(job?.signal.aborted).toBe(false)
    const events = await pulling.rig.events(id)
    expect(events.map(({ type }) => type)).toEqual(['job.enqueued', 'job.started', 'job.succeeded'])
    expect(JSON.parse(events[2]?.data ?? '')).toMatchObject({ attempt: 1, result: { width: 42 } })
    expect(JSON.parse(events[1]?.data ?? '').consumer).toMatch(/^shop\/resize@/)
  })

  it('may be a plain function, and need not return anything', async () => {
    await pulling.rig.declare('plain')
    let calls = 0
    await start('plain', () => void calls++)
    const ids = await pulling.rig.add(
      'plain',
      Array.from({ length: 1200 }, (_, n) => n),
    )
    await pulling.rig.until('plain', { succeeded: 1200, waiting: 0, running: 0 })
    expect(calls).toBe(1200)
    expect((await pulling.rig.events(ids[0]))[2]?.data).not.toContain('result')
  })

  it('that throws is called again as the queue says, and buried with what it threw when that was the last time', async () => {
    await pulling.rig.declare('flaky', { retries: 2 })
    const attempts: number[] = []
    const reports: AttemptReport[] = []
    const fail = async (job: Job) => {
      attempts.push(job.attempt)
      if (job.data === 'never' || job.attempt < 3) throw new TypeError(`no luck with ${String(job.data)}`)
    }
    await start('flaky', fail, { onAttempt: (report) => reports.push(report) })
    const [good = ''] = await pulling.rig.add('flaky', ['"once"'])
    await pulling.rig.until('flaky', { succeeded: 1 })
    expect(attempts).toEqual([1, 2, 3])
    expect((await pulling.rig.types(good)).filter((type) => type === 'job.attempt_failed')).toHaveLength(2)

    const [bad = ''] = await pulling.rig.add('flaky', ['"never"'])
    await pulling.rig.until('flaky', { dead: 1 })
    expect(attempts).toEqual([1, 2, 3, 1, 2, 3])
    const last = (await pulling.rig.events(bad)).findLast(({ type }) => type === 'job.attempt_failed')
    expect(JSON.parse(last?.data ?? '')).toMatchObject({ reason: 'worker_failed', attempt: 3 })
    expect(JSON.parse(last?.data ?? '').lastResponse.error).toMatch(/^TypeError: no luck with never\n\s+at /)
    expect(reports.map(({ outcome }) => outcome)).toEqual(['retry', 'retry', 'succeeded', 'retry', 'retry', 'dead'])
  })

  it.each([
    ['NoRetry', new NoRetry('no such order')],
    ['an error with noRetry', Object.assign(new Error('no such order'), { noRetry: true })],
  ])('that throws %s is not called again', async (_name, error) => {
    await pulling.rig.declare('final', { retries: 5 })
    const before = (await pulling.rig.counts('final')).dead
    await start('final', () => {
      throw error
    })
    const [id = ''] = await pulling.rig.add('final', [1])
    await pulling.rig.until('final', { dead: before + 1 })
    expect(await pulling.rig.types(id)).toEqual([
      'job.enqueued',
      'job.started',
      'job.attempt_failed',
      'job.dead_lettered',
    ])
    const failed = (await pulling.rig.events(id)).at(-2)
    expect(JSON.parse(failed?.data ?? '')).toMatchObject({ reason: 'no_retry' })
  })

  it('that throws RetryAfter is not called before that', async () => {
    await pulling.rig.declare('later', { retries: 1 })
    const at: number[] = []
    await start('later', (job) => {
      at.push(Date.now())
      if (job.attempt === 1) throw new RetryAfter(400)
    })
    await pulling.rig.add('later', [1])
    await pulling.rig.until('later', { succeeded: 1 })
    expect((at[1] ?? 0) - (at[0] ?? 0)).toBeGreaterThanOrEqual(395)
  })

  it('that throws what only looks like RetryAfter has failed as by any other error', async () => {
    await pulling.rig.declare('lookalike', { retries: 1 })
    await start('lookalike', (job) => {
      if (job.attempt === 1) throw { name: 'RetryAfter', delayMs: Number.NaN }
    })
    await pulling.rig.add('lookalike', [1])
    await pulling.rig.until('lookalike', { succeeded: 1 })
  })

  it('that says "not now" with counts: false keeps its attempts', async () => {
    await pulling.rig.declare('not-now', { retries: 0 })
    const attempts: number[] = []
    await start('not-now', (job) => {
      attempts.push(job.attempt)
      if (job.epoch < 4) throw new RetryAfter(10, { counts: false })
    })
    await pulling.rig.add('not-now', [1])
    await pulling.rig.until('not-now', { succeeded: 1 })
    expect(attempts).toEqual([1, 1, 1, 1])
  })

  it('that takes too long has its signal aborted, and the attempt counts as timed out', async () => {
    await pulling.rig.declare('slow', { retries: 0, timeoutMs: 60_000 })
    const reasons: unknown[] = []
    await start('slow', async (job) => {
      await untilAborted(job)
      reasons.push(job.signal.reason)
      return 'too late'
    })
    const [id] = await pulling.rig.add('slow', [1], { timeoutMs: 80 })
    await pulling.rig.until('slow', { dead: 1, succeeded: 0 })
    const failed = (await pulling.rig.events(id)).at(-2)
    expect(JSON.parse(failed?.data ?? '')).toMatchObject({ reason: 'timeout' })
    expect(reasons).toMatchObject([{ name: 'TimeoutError', message: 'the handler did not end within 80 ms' }])
  })

  it('hears of the cancellation of its job', async () => {
    await pulling.rig.declare('cancelled')
    const { promise: started, resolve: onStart } = Promise.withResolvers<void>()
    const { promise: reason, resolve: onAbort } = Promise.withResolvers<unknown>()
    await start('cancelled', async (job) => {
      onStart()
      await untilAborted(job)
      onAbort(job.signal.reason)
    })
    const [id = ''] = await pulling.rig.add('cancelled', [1])
    await started
    expect(await cancel(pulling.rig.partition, { id, by: { who: 'test' } })).toMatchObject({ kind: 'cancelling' })
    expect(await reason).toMatchObject({ name: 'AbortError', message: 'the job was cancelled' })
    await pulling.rig.until('cancelled', { cancelled: 1, running: 0 })
  })

  it('reports progress, of which the last in a moment counts', async () => {
    await pulling.rig.declare('long')
    await start('long', async (job) => {
      for (let done = 0; done <= 100; done++) void job.progress({ title: 'rows', total: 100, progress: done })
    })
    const [id] = await pulling.rig.add('long', [1])
    const said = await eventually(async () => {
      const all = (await pulling.rig.events(id)).filter(({ type }) => type === 'job.progress')
      expect(all).toHaveLength(2)
      return all.map(({ data }) => JSON.parse(data).progress)
    })
    expect(said).toEqual([0, 100])
    await pulling.rig.until('long', { succeeded: 1 })
  })

  it('whose result cannot be kept has succeeded all the same', async () => {
    await pulling.rig.declare('verbose')
    const told: string[] = []
    await start('verbose', (job) => (job.data === 1 ? 'x'.repeat(70_000) : 1n), {
      onError: (error) => told.push(error.code),
    })
    await pulling.rig.add('verbose', [1, 2])
    await pulling.rig.until('verbose', { succeeded: 2 })
    expect(told).toEqual(['sdk.result_not_kept', 'sdk.result_not_kept'])
  })
})
