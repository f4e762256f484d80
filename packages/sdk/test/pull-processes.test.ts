import { type ChildHandle, eventually } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type PullRig, startPullRig, startWorker } from './pull-fixture.ts'

let rig: PullRig
const workers: ChildHandle[] = []
beforeEach(async () => {
  rig = await startPullRig()
})
afterEach(async () => {
  for (const worker of workers.splice(0)) await worker.killGroup()
  await rig.stop()
})

async function start(queue: string, env: Record<string, string | number> = {}): Promise<ChildHandle> {
  const worker = await startWorker(rig, queue, env)
  workers.push(worker)
  return worker
}

function linesOf(all: readonly ChildHandle[], word: string): string[][] {
  return all
    .flatMap((worker) => worker.lines())
    .filter((line) => line.startsWith(`${word} `))
    .map((line) => line.split(' '))
}

describe('a consumer that is killed', () => {
  it('has its jobs run by another within ten seconds, at no attempt', async () => {
    await rig.declare('mail', { timeoutMs: 600_000, retries: 0 })
    const two = { TEST_CONCURRENCY: 2 }
    const [first, second] = [await start('mail', two), await start('mail', two)]
    const ids = await rig.add('mail', [
      { n: 0, workMs: 600_000 },
      { n: 1, workMs: 600_000 },
      { n: 2, workMs: 600_000 },
      { n: 3, workMs: 600_000 },
    ])
    const held = await eventually(() => {
      const [mine, others] = [first, second].map((worker) => linesOf([worker], 'start').map(([, n]) => n))
      return mine?.length === 2 && others?.length === 2 && mine
    })
    await first.kill()
    const third = await start('mail')
    for (const n of held) expect(await third.waitForLine(new RegExp(`^start ${n} `), 10_000)).toMatch(/ 1 2$/)
    // The other one has no slot to spare, and takes no more than it was told.
    expect(linesOf([second], 'start')).toHaveLength(2)
    expect(linesOf([second], 'abort')).toEqual([])
    const events = (await rig.events()).filter(({ type }) => type === 'job.taken_over')
    expect(events.map(({ entityId }) => entityId).sort()).toEqual(held.map((n) => ids[Number(n)]).sort())
    for (const { data } of events) expect(JSON.parse(data).from).toMatch(/^shop\/mail@/)
  })

  it('has them run by a busy one too, as soon as that has a slot', async () => {
    await rig.declare('busy')
    const one = { TEST_CONCURRENCY: 1 }
    const first = await start('busy', one)
    await rig.add('busy', [{ n: 0, workMs: 600_000 }])
    await first.waitForLine(/^start 0 /)
    const second = await start('busy', one)
    await first.kill()
    await rig.add(
      'busy',
      Array.from({ length: 200 }, () => ({ n: 1, workMs: 50 })),
    )
    expect(await second.waitForLine(/^start 0 /, 10_000)).toMatch(/ 1 2$/)
    expect((await rig.counts('busy')).waiting).toBeGreaterThan(0)
  })

  it('by its own job has that job buried as a crash loop after three more', async () => {
    await rig.declare('poison', { retries: 100 })
    const [id] = await rig.add('poison', [{ n: 0, kills: true }])
    for (let holder = 0; holder < 4; holder++) {
      const worker = await startWorker(rig, 'poison').catch((error: unknown) => error)
      if (worker instanceof Error) continue
      workers.push(worker as ChildHandle)
      if (holder < 3) await (worker as ChildHandle).exited
    }
    await rig.until('poison', { dead: 1, running: 0 })
    const last = (await rig.events(id)).at(-1)
    expect(last).toMatchObject({ type: 'job.dead_lettered' })
    expect(JSON.parse(last?.data ?? '')).toMatchObject({ reason: 'crash_loop' })
  })
})

describe('a consumer that stands still past its lease', () => {
  it('has its jobs taken over, is refused what it says of them, tells its handlers, and works on', async () => {
    await rig.declare('still')
    const first = await start('still', { TEST_CONCURRENCY: 1 })
    const [id = ''] = await rig.add('still', [{ n: 0, workMs: 200 }])
    await first.waitForLine(/^start 0 /)
    first.signal('SIGSTOP')
    const second = await start('still')
    await second.waitForLine(/^end 0/)
    await rig.until('still', { succeeded: 1 })
    first.signal('SIGCONT')
    // Either it settles before it hears that its lease is gone, and is refused, or it hears first and gives the job up.
    await first.waitForLine(/^error sdk.lease_lost/)
    const types = await rig.types(id)
    expect(types.filter((type) => type === 'job.succeeded')).toHaveLength(1)
    await rig.until('still', { succeeded: 1, running: 0 })
    await second.kill()
    await rig.add('still', [{ n: 1 }])
    await first.waitForLine(/^end 1/)
    await rig.until('still', { succeeded: 2 })
  })
})

describe('a consumer that is closed', () => {
  it('lets its handlers end, takes no more, and ends by itself', async () => {
    await rig.declare('closing')
    const worker = await start('closing', { TEST_CONCURRENCY: 1 })
    await rig.add('closing', [{ n: 0, workMs: 500 }, { n: 1 }])
    await worker.waitForLine(/^start 0 /)
    worker.signal('SIGTERM')
    expect(await worker.exited).toEqual({ code: 0, signal: null })
    expect(worker.lines().slice(-2)).toEqual(['end 0', 'closed'])
    await rig.until('closing', { succeeded: 1, waiting: 1, running: 0 })
  })

  it('hands back what does not end in time: another has it at once, at no attempt', async () => {
    await rig.declare('handing', { timeoutMs: 600_000 })
    const first = await start('handing', { TEST_CLOSE_MS: 100 })
    const [id] = await rig.add('handing', [{ n: 0, workMs: 600_000 }])
    await first.waitForLine(/^start 0 /)
    const second = await start('handing')
    first.signal('SIGTERM')
    expect(await first.waitForLine(/^abort 0/)).toMatch(/in other hands/)
    expect(await second.waitForLine(/^start 0 /)).toBe(`start 0 ${id} 1 2`)
    await rig.until('handing', { running: 1, scheduled: 0, dead: 0 })
  })
})

describe('several consumers', () => {
  it('never run more handlers than the queue allows, and do everything once', async () => {
    await rig.declare('shared', { concurrency: 5 })
    const few = { TEST_CONCURRENCY: 2, TEST_GAUGE: 'running-now' }
    const three = await Promise.all([start('shared', few), start('shared', few), start('shared', few)])
    const numbers = Array.from({ length: 150 }, (_, n) => n)
    await rig.add(
      'shared',
      numbers.map((n) => ({ n, workMs: 50 })),
    )
    await rig.until('shared', { succeeded: 150 })
    const ended = await eventually(() => {
      const lines = linesOf(three, 'end').map(([, n]) => Number(n))
      return lines.length >= 150 && lines
    })
    expect(ended.sort((a, b) => a - b)).toEqual(numbers)
    expect(three.filter((worker) => linesOf([worker], 'end').length > 0)).toHaveLength(3)
    const running = linesOf(three, 'running').map(([, count]) => Number(count))
    expect(running).toHaveLength(150)
    expect(Math.max(...running)).toBe(5)
  })
})
