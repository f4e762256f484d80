import { claim, emit, enqueue, lease, openQueues, settle } from '@millrace/streams'
import { eventually, startProcess } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataOf, openStream } from './sse-client.ts'
import { type AuditApp, DATABASES, type Problem, type Rig, startRig } from './support.ts'

const MILLRACE = new URL('../../cli/bin/millrace.mjs', import.meta.url)
const CONSUMER = 'd-1'
let rig: Rig
let app: AuditApp

type Stream = Awaited<ReturnType<typeof openStream>>

async function newJobs(address: string, count = 1): Promise<string[]> {
  const jobs = await enqueue(rig.partition, new Array(count).fill({ address, lane: 'normal', data: '{"n":1}' }))
  return jobs.map(({ id }) => id)
}

/** Deliver what waits: it succeeds, or dies. */
async function deliver(address: string, kind: 'succeeded' | 'dead') {
  const claimed = await claim(rig.partition, { consumer: CONSUMER, address, concurrency: 100, want: 100 })
  if (claimed.kind !== 'claimed') throw new Error(`nothing was claimed: ${claimed.kind}`)
  const settlement =
    kind === 'succeeded'
      ? ({ kind, status: 200, durationMs: 5, result: JSON.stringify('r'.repeat(30_000)) } as const)
      : ({ kind, reason: 'http_status', durationMs: 5, lastResponse: { status: 500 } } as const)
  await settle(rig.partition, {
    ...{ consumer: CONSUMER, address, attempts: claimed.jobs.map((job) => ({ job, settlement })) },
  })
}

/** Resolves with what was told of, once a job has come to this state. */
const told = (stream: Stream, id: string, state: string) =>
  eventually(
    () => {
      const found = stream.messages.find(
        (each) => each.event === 'job' && each.data.includes(`"state":"${state}"`) && each.data.includes(id),
      )
      return found && stream.messages
    },
    { what: `${id} to be told of as ${state}` },
  )

describe.each(DATABASES)('GET /v1/stream with %s', (database) => {
  beforeAll(async () => {
    rig = await startRig({ database })
    app = await rig.startAudit()
    await openQueues(rig.partition, [{ address: 'shop/mail' }, { address: 'bank/pay' }])
    await lease(rig.partition, { action: 'join', consumer: CONSUMER, ttlMs: 600_000 })
  })
  afterAll(() => rig.stop())

  it('tells of jobs and attempts as they change, as the lists show them, and of nobody else', async () => {
    const stream = await openStream(app, '/v1/stream?namespace=shop')
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream')
    expect(await stream.message(1)).toMatchObject({ event: 'begin', id: expect.stringMatching(/^s/), data: '{}' })
    const [other] = await newJobs('bank/pay')
    const [id] = (await newJobs('shop/mail')) as [string]
    await told(stream, id, 'waiting')
    await deliver('shop/mail', 'succeeded')
    const messages = await told(stream, id, 'succeeded')
    const job = dataOf(messages.findLast(({ event }) => event === 'job')!)
    const {
      data: _payload,
      history: _history,
      result: _result,
      ...shown
    } = (await app.get<Record<string, unknown>>(`/v1/jobs/${id}`)).body
    expect(job).toEqual(shown)
    const attempt = await eventually(() => stream.messages.findLast(({ event }) => event === 'attempt'))
    const { body } = await app.get<{ attempts: unknown[] }>(`/v1/attempts?jobId=${id}`)
    expect(dataOf(attempt)).toEqual(body.attempts[0])
    expect(JSON.stringify(stream.messages)).not.toContain(other)
    stream.leave()
  })

  it('tells of schedules, ticks, gas and subscriptions', async () => {
    const stream = await openStream(app, '/v1/stream?models=schedules,ticks,gas,subscriptions')
    await stream.message(1)
    const tickId = 'shop/nightly@2026-01-01T00:00:00.000Z'
    const said = (type: string, data: object, kind: 'schedule' | 'queue', queue: string) =>
      emit(rig.partition, [
        { ...{ kind, type, namespace: 'shop', queue, entityId: queue }, data: JSON.stringify(data) },
      ])
    await said('schedule.fired', { tickId, scheduledAt: '2026-01-01T00:00:00.000Z' }, 'schedule', 'schedule:nightly')
    await said('gas.charged', { tickId, jobId: 'job_x', tokens: 2 }, 'schedule', 'schedule:nightly')
    await said('subscription.lost_events', { partition: 0 }, 'queue', 'subscription:orders')
    await newJobs('shop/mail')
    await eventually(() => stream.messages.some(({ event }) => event === 'subscription'))
    const last = Object.fromEntries(stream.messages.map((message) => [message.event, dataOf(message)]))
    expect(last).toMatchObject({
      schedule: { name: 'nightly', fired: 1 },
      tick: { id: tickId, state: 'fired', gas: 2 },
      gas: { schedule: 'nightly', tokens: 2 },
      subscription: { name: 'orders', losses: 1 },
    })
    expect(Object.keys(last).toSorted()).toEqual(['begin', 'gas', 'schedule', 'subscription', 'tick'])
    stream.leave()
  })

  it('tells of the statistics of a queue by the minute, where they are asked for', async () => {
    const stream = await openStream(app, '/v1/stream?namespace=bank&models=queue_stats&cursor=s')
    const unasked = await openStream(app, '/v1/stream?namespace=bank')
    await unasked.message(1)
    const [id] = (await newJobs('bank/pay')) as [string]
    await deliver('bank/pay', 'dead')
    const list = async () =>
      (await app.get<{ stats: { dead: number; start: string }[] }>('/v1/stats/queues?namespace=bank&queue=pay')).body
    const listed = await eventually(async () => (await list()).stats.find(({ dead }) => dead > 0))
    expect(listed.start).toMatch(/:00\.000Z$/)
    await eventually(() => {
      expect(dataOf(stream.messages.at(-1)!)).toEqual(listed)
      return true
    })
    expect(new Set(stream.messages.map(({ event }) => event))).toEqual(new Set(['begin', 'queue_stats']))
    expect((await told(unasked, id, 'dead')).map(({ event }) => event)).not.toContain('queue_stats')
    stream.leave()
    unasked.leave()
  })

  it('shows only a state that is asked for, of one queue', async () => {
    await deliver('shop/mail', 'succeeded')
    const stream = await openStream(app, '/v1/stream?namespace=shop&queue=mail&models=jobs&state=dead')
    await stream.message(1)
    const [id] = (await newJobs('shop/mail')) as [string]
    await deliver('shop/mail', 'dead')
    const messages = await told(stream, id, 'dead')
    expect(messages.map(({ event }) => event)).toEqual(['begin', 'job'])
    stream.leave()
  })

  // Which database it is makes no difference to a process that was killed.
  if (database === 'SQLite')
    it('goes on behind the last event seen without a gap, after the process was killed', async () => {
      const stream = await openStream(app, '/v1/stream?namespace=shop&models=jobs')
      const { id: begin } = await stream.message(1)
      const tail = await startProcess({
        ...{
          file: MILLRACE,
          args: [
            'audit',
            'tail',
            '--url',
            app.url,
            '--namespace',
            'shop',
            '--models',
            'jobs',
            '--json',
            '--after',
            begin,
          ],
        },
      })
      const before = await newJobs('shop/mail', 20)
      await told(stream, before.at(-1)!, 'waiting')
      const seen = stream.messages.at(5)!
      await tail.waitForLine(new RegExp(before.at(-1)!))
      await app.process.killGroup()
      await stream.closed
      await tail.waitForLine(/going on where it broke off/)
      const meanwhile = await newJobs('shop/mail', 700)
      app = await rig.startAudit({ MILLRACE_AUDIT_PORT: new URL(app.url).port })
      const again = await openStream(app, '/v1/stream?namespace=shop&models=jobs', { seen: seen.id })
      const after = await newJobs('shop/mail', 5)
      await told(again, after.at(-1)!, 'waiting')
      const known = (of: Stream['messages']) => of.filter(({ event }) => event === 'job').map((each) => dataOf(each).id)
      expect(new Set([...known(stream.messages.slice(0, 6)), ...known(again.messages)])).toEqual(
        new Set([...before, ...meanwhile, ...after]),
      )
      // Nothing that was seen before comes again, unless it changed.
      expect(known(again.messages)).toHaveLength(before.length - 5 + 705)
      again.leave()
      await tail.waitForLine(new RegExp(after.at(-1)!))
      const lines = tail.stdout().trimEnd().split('\n')
      const rows = lines.map((line) => (JSON.parse(line) as { row: { id: string } }).row.id)
      expect(new Set(rows)).toEqual(new Set([...before, ...meanwhile, ...after]))
      await tail.killGroup()
      const byCursor = await openStream(
        app,
        `/v1/stream?namespace=shop&models=jobs&cursor=${again.messages.at(-1)!.id}`,
      )
      expect((await byCursor.message(1)).event).toBe('begin')
      byCursor.leave()
    })

  it.each([
    ['a cursor of something else', '/v1/stream?cursor=evt_1', '/cursor'],
    ['a cursor with a number that there cannot be', '/v1/stream?cursor=s0.zzzzzzzzzzzzzzzz', '/cursor'],
    ['a read model that there is not', '/v1/stream?models=jobs,cats', '/models/1'],
    ['an unknown filter', '/v1/stream?colour=red', '/colour'],
    ['a state that nothing has', '/v1/stream?state=asleep', '/state'],
  ])('refuses %s', async (_what, path, pointer) => {
    const { status, body } = await app.get<Problem>(path)
    expect([status, body.errors?.[0]?.pointer]).toEqual([422, pointer])
  })

  it('says that it ends when the store cannot be read, and when the process stops', async () => {
    const cut = async (stream: Stream) => {
      await stream.closed
      return [stream.messages.at(-1)?.event, dataOf(stream.messages.at(-1)!).reason]
    }
    const broken = await openStream(app, '/v1/stream')
    await broken.message(1)
    await rig.sql('ALTER TABLE cursors RENAME TO away')
    expect(await cut(broken)).toEqual(['cut', 'unavailable'])
    await rig.sql('ALTER TABLE away RENAME TO cursors')
    const stopped = await openStream(app, '/v1/stream')
    await stopped.message(1)
    app.process.signal('SIGTERM')
    expect(await cut(stopped)).toEqual(['cut', 'stopping'])
  })
})
