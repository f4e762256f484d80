import { describe, expect, it } from 'vitest'
import {
  advanceReplay,
  closeQueue,
  openQueues,
  pause,
  type ReplayAdvance,
  readCounts,
  readLogRange,
  readReplay,
  runningReplays,
} from '../src/index.ts'
import { ADDRESS, useBench } from './fixture.ts'

const bench = useBench({ consumer: 'd1' })

const event = (n: number) => ({ meta: '{"replay":"r1"}', json: `{"id":"${n}"}` })
const advance = (step: Partial<ReplayAdvance>) =>
  advanceReplay(bench.partition, { id: 'r1', address: ADDRESS, to: 'one', running: true, maxWaiting: 100, ...step })
const state = () => readReplay(bench.partition, 'r1')
const delivered = async () => (await bench.take('d1')).map(({ data, meta }) => [data, meta.replay])

describe('a replay', () => {
  it('moves its jobs with its state, or neither', async () => {
    expect(await advance({ event: { type: 'replay.started', data: { who: 'ada' } } })).toBe('advanced')
    expect(await advance({ from: 'one', to: 'two', jobs: [event(1), event(2)] })).toBe('advanced')
    // One that died after this step, or another that read the state before it, brings it again.
    expect(await advance({ from: 'one', to: 'two', jobs: [event(1), event(2)] })).toBe('conflict')
    expect(await delivered()).toEqual([
      ['{"id":"1"}', 'r1'],
      ['{"id":"2"}', 'r1'],
    ])
    expect(await runningReplays(bench.partition)).toEqual(['r1'])
  })

  it('that was stopped puts in nothing of a step that was under way, and stays stopped', async () => {
    await advance({})
    const stopped = { type: 'replay.stopped', data: { who: 'ada' } }
    expect(await advance({ from: 'one', to: 'stopped', running: false, event: stopped })).toBe('advanced')
    expect(await advance({ from: 'one', to: 'two', jobs: [event(1)] })).toBe('conflict')
    expect([await state(), await runningReplays(bench.partition), await delivered()]).toEqual(['stopped', [], []])
    expect((await readLogRange(bench.partition)).map(({ type }) => type)).toEqual(['replay.stopped'])
  })

  it('stays where it is while its queue has enough, is drained, or is closed', async () => {
    await advance({})
    const next = { from: 'one', to: 'two', jobs: [event(1)] }
    const by = { who: 'ada', at: '' }
    await bench.add(1, 2)
    expect(await advance({ ...next, maxWaiting: 2 })).toBe('full')
    await pause(bench.partition, { action: 'drain', address: ADDRESS, by })
    expect(await advance(next)).toBe('full')
    await pause(bench.partition, { action: 'resume', address: ADDRESS, by })
    expect(await state()).toBe('one')
    expect(await advance(next)).toBe('advanced')
    expect((await readCounts(bench.partition, [ADDRESS]))[0]).toMatchObject({ accepted: 3, waiting: 3 })
  })

  it('puts nothing where nobody would deliver it', async () => {
    await advance({})
    expect(await closeQueue(bench.partition, ADDRESS)).toBe('closed')
    expect(await advance({ from: 'one', to: 'two', jobs: [event(1)] })).toBe('full')
    await openQueues(bench.partition, [{ address: ADDRESS }])
    expect(await advance({ from: 'one', to: 'two', jobs: [event(1)] })).toBe('advanced')
  })
})
