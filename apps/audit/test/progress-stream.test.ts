import { formatId } from '@millrace/contracts'
import { cancel, emit, enqueue, openQueues } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { dataOf, type Message, openStream } from './sse-client.ts'
import { type AuditApp, type Problem, type Rig, startRig } from './support.ts'

const ADDRESS = 'shop/render'
const MAX_STREAMS = 3
let rig: Rig
let app: AuditApp

beforeAll(async () => {
  rig = await startRig({ database: 'SQLite' })
  app = await rig.startAudit({ MILLRACE_AUDIT_STREAMS: String(MAX_STREAMS) })
  await openQueues(rig.partition, [{ address: ADDRESS }])
})
afterAll(() => rig.stop())
beforeEach(() => eventually(async () => (await openStreams()) === 0))

async function openStreams(): Promise<number> {
  const text = await (await fetch(`${app.url}/metrics`)).text()
  return Number(/^millrace_audit_open_streams\S* (\d+)$/m.exec(text)?.[1])
}

async function newJob(): Promise<string> {
  const [job] = await enqueue(rig.partition, [{ address: ADDRESS, lane: 'normal', data: '{}' }])
  return job?.id as string
}

/** What the dispatcher writes when a report comes in. */
const report = (id: string, data: string) =>
  emit(rig.partition, [{ kind: 'job', type: 'job.progress', namespace: 'shop', queue: 'render', entityId: id, data }])
const step = (progress: number) => `{"title":"Rendering","total":20,"progress":${progress}}`
const end = (id: string) => cancel(rig.partition, { id, by: { who: 'ada' } })

const listen = (id: string, options: { from?: AuditApp; seen?: string } = {}) =>
  open(`/v1/jobs/${id}/progress/stream`, options)
const open = (path: string, { from = app, seen }: { from?: AuditApp; seen?: string } = {}) =>
  openStream(from, path, { seen })

describe('GET /v1/jobs/{id}/progress/stream', () => {
  it('says how the job stands, what is reported byte for byte, and how it ended, and closes', async () => {
    const id = await newJob()
    const stream = await listen(id)
    expect(stream.response.headers.get('content-type')).toBe('text/event-stream')
    const first = await stream.message(1)
    expect(first.event).toBe('state')
    expect(dataOf(first)).toEqual({ id, state: 'waiting', attempts: 0 })
    const exact = '{"title":"Rendering","total":9007199254740993,"progress":1.50}'
    await report(id, exact)
    const second = await stream.message(2)
    expect([second.event, second.data]).toEqual(['progress', exact])
    await end(id)
    await stream.closed
    expect(stream.messages.map(({ event }) => event)).toEqual(['state', 'progress', 'end'])
    const last = stream.messages.at(-1) as Message
    expect(last.data).toBe(`{"id":"${id}","state":"cancelled","attempts":0,"progress":${exact}}`)
  })

  it('begins with the last progress, also of a job whose reports the recorder has not taken in', async () => {
    const id = await newJob()
    await report(id, step(1))
    await eventually(async () => (await app.get<{ progress?: unknown }>(`/v1/jobs/${id}`)).body.progress)
    await report(id, step(2))
    const stream = await listen(id)
    expect(dataOf(await stream.message(1))).toMatchObject({ state: 'waiting', progress: { progress: 2 } })
    stream.leave()
  })

  it('tells every listener of a job, and of no other job', async () => {
    const [one, other] = [await newJob(), await newJob()]
    const streams = [await listen(one), await listen(one), await listen(other)]
    await Promise.all(streams.map((stream) => stream.message(1)))
    await report(one, step(5))
    await end(one)
    await Promise.all(streams.slice(0, 2).map((stream) => stream.closed))
    expect(streams.map(({ messages }) => messages.map(({ event }) => event))).toEqual([
      ['state', 'progress', 'end'],
      ['state', 'progress', 'end'],
      ['state'],
    ])
    streams[2]?.leave()
  })

  it('of a job at its end says so and closes', async () => {
    const id = await newJob()
    await end(id)
    const stream = await listen(id)
    await stream.closed
    expect(stream.messages).toMatchObject([{ event: 'end' }])
    expect(dataOf(stream.messages[0] as Message)).toMatchObject({ state: 'cancelled' })
  })

  it('goes on from Last-Event-ID: nothing twice, nothing missed, and 204 for who has seen the end', async () => {
    const id = await newJob()
    const before = await listen(id)
    const { id: seen } = await before.message(1)
    before.leave()
    const idle = await listen(id, { seen })
    await report(id, step(3))
    expect((await idle.message(1)).event).toBe('progress')
    idle.leave()
    const missed = await listen(id, { seen })
    expect(dataOf(await missed.message(1))).toMatchObject({ state: 'waiting', progress: { progress: 3 } })
    await end(id)
    await missed.closed
    const last = missed.messages.at(-1) as Message
    expect((await listen(id, { seen: last.id })).response.status).toBe(204)
  })

  it('shows a proxy and a dead client that it lives', async () => {
    const stream = await listen(await newJob())
    await eventually(() => stream.comments.length > 0)
    expect(stream.comments[0]).toBe(': heartbeat')
    expect(stream.messages).toHaveLength(1)
    stream.leave()
  })

  it.each([
    ['never was', formatId({ prefix: 'job', ms: 5, seq: 5, partition: 0 })],
    ['is in no partition', formatId({ prefix: 'job', ms: 5, seq: 5, partition: 9 })],
    ['is no id', 'nonsense'],
  ])('refuses a job that %s', async (_name, id) => {
    const { status, body } = await app.get<Problem>(`/v1/jobs/${id}/progress/stream`)
    expect(status).toBe(404)
    expect(body).toMatchObject({ code: 'job.unknown', detail: `There is no job ${id} in the trail.` })
  })

  it('refuses more streams than are allowed, and takes new ones when clients have gone', async () => {
    const id = await newJob()
    const streams = await Promise.all(Array.from({ length: MAX_STREAMS }, () => listen(id)))
    await Promise.all(streams.map((stream) => stream.message(1)))
    const refused = await app.get<Problem>(`/v1/jobs/${id}/progress/stream`)
    expect(refused.status).toBe(503)
    expect(refused.body.code).toBe('stream.too_many')
    expect(refused.headers.get('retry-after')).toBe('5')
    for (const stream of streams) stream.leave()
    await eventually(async () => (await openStreams()) === 0)
    const admitted = await listen(id)
    await admitted.message(1)
    admitted.leave()
  })

  it('leaves no connection to Redis behind when the last client has gone', async () => {
    const feeds = async () =>
      String(await rig.partition.redis.client('LIST')).match(/millrace-audit-feed/g)?.length ?? 0
    const stream = await listen(await newJob())
    await stream.message(1)
    expect(await feeds()).toBe(1)
    stream.leave()
    await eventually(async () => (await feeds()) === 0)
  })

  it('ends when the log cannot be followed any more, so that its client comes again', async () => {
    const id = await newJob()
    const stream = await listen(id)
    const { id: seen } = await stream.message(1)
    const line = String(await rig.partition.redis.client('LIST'))
      .split('\n')
      .find((client) => client.includes('millrace-audit-feed'))
    await rig.partition.redis.client('KILL', 'ID', Number(/id=(\d+)/.exec(line ?? '')?.[1]))
    await stream.closed
    await report(id, step(8))
    const again = await listen(id, { seen })
    expect(dataOf(await again.message(1))).toMatchObject({ progress: { progress: 8 } })
    again.leave()
  })

  it('follows the log where another process records it, and ends when its own process stops', async () => {
    const second = await rig.startAudit()
    const id = await newJob()
    const stream = await listen(id, { from: second })
    await stream.message(1)
    await report(id, step(4))
    expect((await stream.message(2)).data).toBe(step(4))
    expect(await second.process.stop()).toEqual({ code: 0, signal: null })
    await stream.closed
    expect(stream.messages).toHaveLength(3)
    expect(stream.messages[2]).toMatchObject({ event: 'cut', data: expect.stringContaining('"reason":"stopping"') })
  })
})

describe('GET /v1/progress/stream', () => {
  const reportOf = (more: object) => JSON.stringify({ title: 'Publishing', total: 4, progress: 1, ...more })

  it('tells what is reported for a user, of whatever job, and how those jobs end', async () => {
    const [one, other, foreign] = [await newJob(), await newJob(), await newJob()]
    const stream = await open('/v1/progress/stream?namespace=shop&userId=ada')
    await report(foreign, reportOf({ userId: 'bob' }))
    await report(one, reportOf({ userId: 'ada' }))
    await report(other, reportOf({ userId: 'ada', process: 'publish' }))
    await stream.message(2)
    await Promise.all([foreign, other].map(end))
    await stream.message(3)
    expect(stream.messages.map(({ event, data }) => [event, JSON.parse(data)])).toEqual([
      ['progress', { id: one, queue: 'render', progress: JSON.parse(reportOf({ userId: 'ada' })) }],
      [
        'progress',
        { id: other, queue: 'render', progress: JSON.parse(reportOf({ userId: 'ada', process: 'publish' })) },
      ],
      ['end', { id: other, queue: 'render', state: 'cancelled' }],
    ])
    stream.leave()
  })

  it('tells what is reported of a process, whoever it is for', async () => {
    const id = await newJob()
    const stream = await open('/v1/progress/stream?namespace=shop&process=publish')
    await report(id, reportOf({ process: 'import' }))
    await report(id, reportOf({ process: 'publish', userId: 'ada' }))
    expect(dataOf(await stream.message(1))).toMatchObject({ id, progress: { process: 'publish' } })
    stream.leave()
  })

  it.each([
    ['no group', 'namespace=shop'],
    ['two groups', 'namespace=shop&process=a&userId=b'],
    ['no namespace', 'process=a'],
    ['a field that does not exist', 'namespace=shop&process=a&user=b'],
  ])('refuses %s', async (_name, query) => {
    const { status, body } = await app.get<Problem>(`/v1/progress/stream?${query}`)
    expect([status, body.code]).toEqual([422, 'request.invalid'])
  })
})
