import { emit, enqueue, openQueues } from '@millrace/streams'
import { eventually, startProcess } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MODEL_TABLES } from '../src/read-models/rows.ts'
import { logOf, type Said } from './log-events.ts'
import { type AuditApp, appendEvents, DATABASES, type Problem, type Rig, recorded, startRig } from './support.ts'

const MILLRACE = new URL('../../cli/bin/millrace.mjs', import.meta.url)

let rig: Rig
let app: AuditApp

const job = (index: number, type: string, data: unknown): Said => ({
  type,
  data,
  entityId: `job_19b76e4d8000000${index}000`,
})
/** Six jobs of two customers that were tried once; every other one is dead. */
const SAID: Said[] = [0, 1, 2, 3, 4, 5].flatMap((index) => [
  job(index, 'job.started', { attempt: 1, epoch: 1 }),
  index % 2 === 0
    ? job(index, 'job.succeeded', { attempt: 1, epoch: 1, durationMs: 4 })
    : job(index, 'job.dead_lettered', { attempts: 1, reason: index === 1 ? 'timeout' : 'http_status' }),
])

interface Page {
  readonly cursor?: string
  readonly [member: string]: unknown
}
const list = async (path: string) => (await app.get<Page>(path)).body

describe.each(DATABASES)('the lists of the read models, with %s', (database) => {
  beforeAll(async () => {
    rig = await startRig({ database })
    app = await rig.startAudit()
    const facts = logOf(SAID).map(({ kind, type, namespace, queue, entityId, data }) => ({
      kind,
      type,
      namespace,
      queue,
      entityId,
      data,
    }))
    await emit(rig.partition, facts)
    const gas = {
      kind: 'schedule',
      type: 'gas.charged',
      namespace: 'shop',
      queue: 'schedule:nightly',
      entityId: 'schedule:nightly',
    } as const
    await emit(
      rig.partition,
      [1, 2].map((n) => ({ ...gas, data: JSON.stringify({ tickId: `t${n}`, tokens: 2 }) })),
    )
    const enqueued = [
      { id: 42, vip: true },
      { id: 'x"y', vip: false },
    ].map((customer) => ({
      ...({ kind: 'job', type: 'job.enqueued', namespace: 'shop', queue: 'orders', entityId: '' } as const),
      data: JSON.stringify({ lane: 'normal', data: { customer, note: 'a \u0000 b' } }),
    }))
    await emit(rig.partition, enqueued)
    await openQueues(rig.partition, [{ address: 'shop/sync' }])
    const unique = { mode: 'debounce', key: 'k', periodMs: 60_000 } as const
    const meta = { unique: { mode: 'debounce', key: 'k' } } as const
    for (const data of ['{"n":1}', '{"n":2}'])
      await enqueue(rig.partition, [{ address: 'shop/sync', lane: 'normal', data, unique, meta }])
    await recorded(rig, 18)
  })
  afterAll(() => rig.stop())

  it('go page by page through everything, each row once, whatever is added meanwhile', async () => {
    const seen: string[] = []
    let cursor = ''
    do {
      const page = await list(`/v1/attempts?namespace=shop&limit=2${cursor}`)
      seen.push(...(page.attempts as { jobId: string }[]).map(({ jobId }) => jobId))
      cursor = page.cursor === undefined ? '' : `&cursor=${page.cursor}`
    } while (cursor !== '')
    expect(seen).toHaveLength(6)
    expect(new Set(seen).size).toBe(6)
  })

  it('filter attempts and dead letters by how they ended', async () => {
    expect(((await list('/v1/attempts?outcome=succeeded')).attempts as unknown[]).length).toBe(3)
    const dead = (await list('/v1/dead-letters?reason=http_status')).deadLetters as { state: string; reason: string }[]
    expect(dead.map(({ state, reason }) => `${state} ${reason}`)).toEqual(['dead http_status', 'dead http_status'])
    expect((await list('/v1/dead-letters?reason=http_status&limit=1')).cursor).toEqual(expect.any(String))
  })

  it.each([
    ['field=customer.id&equals=42', 1],
    ['field=customer.id&equals=x%22y', 1],
    ['field=customer.vip&equals=true', 1],
    ['field=customer.id&equals=43', 0],
    ['field=customer.none&equals=', 0],
  ])('find jobs by what their payload says: %s', async (query, count) => {
    const found = (await list(`/v1/jobs?queue=orders&${query}`)).jobs as unknown[]
    expect(found).toHaveLength(count)
  })

  it('show a debounced job with its last payload, and find it by that alone', async () => {
    const found = async (filter: string) => (await list(`/v1/jobs?queue=sync${filter}`)).jobs
    expect(await found('')).toMatchObject([{ state: 'scheduled', data: { n: 2 } }])
    expect(await found('&field=n&equals=2')).toHaveLength(1)
    expect(await found('&field=n&equals=1')).toEqual([])
  })

  it('say what gas a namespace has used, by day and by schedule', async () => {
    const day = new Date().toISOString().slice(0, 10)
    expect(await list('/v1/gas?namespace=shop')).toEqual({ gas: [{ day, namespace: 'shop', tokens: 4, ticks: 2 }] })
    expect(await list('/v1/gas?by=schedule&to=2000-01-01')).toEqual({ gas: [] })
    expect((await list('/v1/gas?by=schedule')).gas).toMatchObject([{ schedule: 'nightly', tokens: 4 }])
  })

  it('show statistics, schedules, ticks and subscriptions', async () => {
    const [minute] = (await list('/v1/stats/queues?namespace=shop&queue=send-mail')).stats as { started: number }[]
    expect(minute).toMatchObject({ started: 6, succeeded: 3, dead: 3, runMs: { mean: 4, max: 4 } })
    expect(((await list('/v1/stats/queues?resolution=day&queue=send-mail')).stats as unknown[]).length).toBe(1)
    expect((await list('/v1/ticks?schedule=nightly')).ticks).toMatchObject([{ gas: 2 }, { gas: 2 }])
    expect((await list('/v1/schedules')).schedules).toEqual([])
    expect((await list('/v1/subscriptions?namespace=shop')).subscriptions).toEqual([])
  })

  it('say what is wrong with a question', async () => {
    for (const [path, pointer] of [
      ['/v1/attempts?cursor=nonsense', '/cursor'],
      ['/v1/attempts?outcome=maybe', '/outcome'],
      ['/v1/gas?from=yesterday', '/from'],
      ['/v1/stats/queues?resolution=year', '/resolution'],
      ['/v1/jobs?field=a', '/equals'],
      ['/v1/jobs?field=a..b&equals=1', '/field'],
    ] as const) {
      const { status, body } = await app.get<Problem>(path)
      expect([path, status, body.errors?.[0]?.pointer]).toEqual([path, 422, pointer])
    }
  })

  it('are made again on demand, and the trail says who asked', async () => {
    await rig.sql('UPDATE attempts SET namespace = ?', 'wrong')
    expect((await app.post<Problem>('/v1/rebuild', {})).status).toBe(422)
    expect((await app.post('/v1/rebuild', { who: 'ada', why: 'a mistake' })).status).toBe(202)
    await eventually(async () => (await list('/v1/rebuild')).state === 'done', { what: 'the rebuild to end' })
    expect(((await list('/v1/attempts?namespace=shop')).attempts as unknown[]).length).toBe(6)
    const { text } = await eventually(async () => {
      const answer = await app.get('/v1/events?namespace=millrace&eventType=read_models.*')
      return answer.text.includes('ada') ? answer : undefined
    })
    expect(JSON.parse(text).data.events[0]).toMatchObject({ metadata: { who: 'ada', why: 'a mistake' } })
  })

  it('are made again by `millrace audit rebuild` to the same rows, while jobs come in', async () => {
    const rows = async () => {
      const tables = MODEL_TABLES.map((table) => rig.sql(`SELECT * FROM ${table} WHERE namespace = 'shop'`))
      return (await Promise.all(tables)).map((found) => found.map((row) => JSON.stringify(row)).toSorted())
    }
    await appendEvents(rig.partition, 3000)
    await openQueues(rig.partition, [{ address: 'live/orders' }])
    const before = await rows()
    await rig.sql("DELETE FROM jobs WHERE queue = 'orders'")
    await rig.sql('UPDATE queue_stats SET started = 77')
    const command = await startProcess({ file: MILLRACE, args: ['audit', 'rebuild', '--url', app.url, '--json'] })
    let isOver = false
    command.exited.finally(() => {
      isOver = true
    })
    const jobs: string[] = []
    do {
      const data = { address: 'live/orders', lane: 'normal', data: '{}' } as const
      jobs.push(...(await enqueue(rig.partition, new Array(20).fill(data))).map(({ id }) => id))
      // Who asks is answered meanwhile, and what is emitted is recorded.
      expect((await app.get('/v1/jobs?limit=1')).status).toBe(200)
    } while (!isOver)
    expect(await command.exited, command.output()).toEqual({ code: 0, signal: null })
    expect(JSON.parse(command.stdout())).toMatchObject({ state: 'done' })
    expect(await rows()).toEqual(before)
    const live = async () => (await rig.sql("SELECT id FROM jobs WHERE namespace = 'live'")).map(({ id }) => id)
    await eventually(async () => (await live()).length === jobs.length, { what: 'all live jobs to be recorded' })
    expect(new Set(await live())).toEqual(new Set(jobs))
  })

  it('are made again by themselves when another version made them', async () => {
    await rig.sql('UPDATE read_models SET version = 0')
    await rig.sql('DELETE FROM attempts')
    const other = await rig.startAudit()
    await eventually(async () => ((await other.get<Page>('/v1/attempts')).body.attempts as unknown[]).length === 6, {
      what: 'the attempts to be there again',
    })
  })
})
