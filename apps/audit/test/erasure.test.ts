import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { EraseResult, Hold } from '@millrace/contracts'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type AuditApp,
  DATABASES,
  type Emitted,
  type Events,
  type Everything,
  emitBody,
  type Problem,
  type Rig,
  startRig,
  type Verdict,
} from './support.ts'

const BY = { who: 'ada', why: 'asked for by letter' }
// The first rule keeps what the second would not; a hundredth of a second is old enough for that one.
const ENV = { MILLRACE_AUDIT_RETENTION: 'pruned.kept=3650,pruned.*=0.0000001', MILLRACE_AUDIT_PRUNE_MS: '1000' }

describe.each(DATABASES)('with %s', (database) => {
  let rig: Rig
  let app: AuditApp
  beforeAll(async () => {
    rig = await startRig({ database })
    app = await rig.startAudit(ENV)
  })
  afterAll(() => rig.stop())

  const emit = async (namespace: string, entityId: string, over: Record<string, unknown> = {}) => {
    const body = emitBody({ namespace, entityId, metadata: { who: 'shop' }, ...over })
    const answer = await app.post<Emitted>('/v1/events/emit', body)
    expect(answer.status).toBe(201)
    return answer.body.data.eventId
  }
  const erase = (subject: string, over: Record<string, unknown> = {}) =>
    app.post<EraseResult>(`/v1/subjects/${encodeURIComponent(subject)}/erase`, { ...BY, ...over })
  const everything = async () => (await app.get<Everything & { verdict: string; erased: number }>('/v1/verify')).body
  const rowsOf = (namespace: string) =>
    rig.sql('SELECT event_id, data, salt, erased_by FROM records WHERE namespace = ? ORDER BY event_id', namespace)
  const verdictOn = async (namespace: string, entityId: string) =>
    (await app.get<Verdict>(`/v1/events/${entityId}/verify?namespace=${namespace}`)).body.data

  describe('an erasure', () => {
    it('destroys payloads and salts of a person, says that it did, and everything still verifies', async () => {
      await emit('a', 'ann')
      await emit('a', 'order-1', { metadata: { who: 'ann' } })
      await emit('a', 'order-1', { data: { customer: { id: 'ann' }, n: 1 } })
      await emit('a', 'order-1', { data: { customer: { id: 'annette' } } })
      const hashes = async () =>
        (await app.get<Events>('/v1/events?namespace=a')).body.data.events.map(({ eventHash }) => eventHash)
      const before = await hashes()
      const paths = { fields: ['customer.id'] }
      const counted = await erase('ann', { ...paths, dryRun: true })
      expect(counted.body).toEqual({ matching: 3, held: 0, erased: 0, eventIds: [] })
      expect((await rowsOf('a')).map(({ data }) => data)).not.toContain(null)

      const { status, body } = await erase('ann', paths)
      expect([status, body]).toEqual([200, { matching: 3, held: 0, erased: 3, eventIds: [expect.any(String)] }])
      const rows = await rowsOf('a')
      const gone = { data: null, salt: null, erased_by: body.eventIds[0] }
      expect(rows.slice(0, 3)).toMatchObject([gone, gone, gone])
      expect(rows[3]).toMatchObject({ data: expect.stringContaining('annette'), erased_by: null })

      expect(await everything()).toMatchObject({ verdict: 'intact', erased: 3, broken: [] })
      const whole = { verdict: 'intact', valid: true, totalEvents: 3, erased: 2 }
      expect(await verdictOn('a', 'order-1')).toEqual(whole)
      expect(await hashes()).toEqual(before)
      const told = (await app.get<Events>('/v1/events?eventType=payload.erased&namespace=@millrace')).body.data
        .events[0]
      expect(told).toMatchObject({ eventId: body.eventIds[0], metadata: BY })
      expect(told?.entityId).toMatch(/^subject\/[0-9a-f]{64}$/)
      expect(JSON.stringify(told)).not.toContain('ann')
    })

    it('takes everything of a job of which one record speaks of the person', async () => {
      const job = 'job_19b76daa80000000000'
      const entry = (type: string, data: string) =>
        rig.partition.redis.xadd(...([rig.partition.keys.log, '*', 'job', type, 'jobs', 'mail', job, data] as const))
      await entry('job.enqueued', '{"lane":"normal","data":{"customer":"ann"}}')
      await entry('job.succeeded', '{"attempt":1,"result":{"mailed":"Ann Smith"}}')
      await eventually(async () => (await rowsOf('jobs')).length === 2)
      const { body } = await erase('ann', { fields: ['data.customer'], namespace: 'jobs' })
      expect(body).toMatchObject({ matching: 2, erased: 2 })
      expect((await rowsOf('jobs')).map(({ data }) => data)).toEqual([null, null])
      const shown = await app.get<{ state: string; data: unknown }>(`/v1/jobs/${job}`)
      expect([shown.status, shown.body.state, shown.body.data]).toEqual([200, 'succeeded', null])
    })

    it('needs who and why', async () => {
      const refusal = await app.post<Problem>('/v1/subjects/ann/erase', { who: 'ada' })
      expect([refusal.status, refusal.body.errors?.[0]?.pointer]).toEqual([422, '/why'])
    })
  })

  it('a legal hold keeps payloads from erasure until it is released', async () => {
    await emit('held', 'bob')
    await emit('held', 'order-1', { metadata: { who: 'bob' } })
    const placed = await app.post<Hold>('/v1/holds', { namespace: 'held', entityId: 'order-1', ...BY, why: 'case 7' })
    expect(placed.status).toBe(201)
    expect((await erase('bob')).body).toMatchObject({ matching: 2, held: 1, erased: 1 })
    expect((await app.get<{ holds: Hold[] }>('/v1/holds')).body.holds).toEqual([placed.body])
    const released = await app.post<Hold>(`/v1/holds/${placed.body.id}/release`, { ...BY, why: 'closed' })
    expect(released.body).toMatchObject({ id: placed.body.id, releasedAt: expect.any(String) })
    expect((await app.get<{ holds: Hold[] }>('/v1/holds')).body.holds).toEqual([])
    expect((await erase('bob')).body).toMatchObject({ matching: 1, held: 0, erased: 1 })
    expect((await everything()).verdict).toBe('intact')
    expect((await app.post<Problem>('/v1/holds/none/release', BY)).body.code).toBe('hold.unknown')
  })

  it('lists legal holds page by page, the newest first, while some are placed and released', async () => {
    const place = async (entityId: string) =>
      (await app.post<Hold>('/v1/holds', { namespace: 'paged', entityId, ...BY })).body.id
    const list = async (query: string) => (await app.get<{ holds: Hold[]; cursor?: string }>(`/v1/holds?${query}`)).body
    const ids = ({ holds }: { holds: Hold[] }) => holds.map(({ id }) => id)
    const placed: string[] = []
    for (const entity of ['1', '2', '3', '4', '5']) placed.unshift(await place(entity))
    const first = await list('limit=2')
    expect(ids(first)).toEqual(placed.slice(0, 2))
    for (const id of [placed[1], placed[3]]) await app.post(`/v1/holds/${id}/release`, BY)
    const late = await place('6')
    const rest = await list(`limit=2&cursor=${first.cursor}`)
    expect([ids(rest), rest.cursor]).toEqual([[placed[2], placed[4]], undefined])
    expect(ids(await list(''))).toEqual([late, placed[0], placed[2], placed[4]])

    const { cursor } = (await app.get<{ cursor?: string }>('/v1/events?limit=1')).body
    for (const foreign of [cursor ?? 'none', 'garbage']) {
      const { status, body } = await app.get<Problem>(`/v1/holds?cursor=${foreign}`)
      expect([status, body.errors?.[0]]).toEqual([
        422,
        { pointer: '/cursor', detail: expect.stringMatching(/not a cursor of this list: send/) },
      ])
    }
    for (const id of ids(await list(''))) await app.post(`/v1/holds/${id}/release`, BY)
  })

  it('retention prunes payloads by age and class, not what is held, and says so', async () => {
    await app.post('/v1/holds', { namespace: 'old', entityId: 'held', ...BY })
    for (const [entityId, eventType] of [
      ['held', 'pruned.created'],
      ['aged', 'pruned.created'],
      ['other', 'claim.opened'],
      ['kept', 'pruned.kept'],
    ] as const)
      await emit('old', entityId, { eventType })
    const left = async () =>
      (
        await rig.sql("SELECT entity_id FROM records WHERE namespace = 'old' AND data IS NOT NULL ORDER BY event_id")
      ).map(({ entity_id }) => entity_id)
    await eventually(async () => (await left()).length === 3, { timeoutMs: 40_000 })
    expect(await left()).toEqual(['held', 'other', 'kept'])
    const pruning = '/v1/events/retention%2Fpruned.*/chain?namespace=@millrace'
    const { body } = await app.get<{ data: { chain: Events['data']['events'] } }>(pruning)
    expect(body.data.chain[0]?.metadata).toEqual({ who: 'millrace', why: expect.stringMatching(/^kept for .* days$/) })
    expect((await everything()).verdict).toBe('intact')
  })

  it('an erasure is done once it was said, though the recorder was killed in between, and once only', async () => {
    for (let n = 0; n < 20; n++) await emit('killed', `order-${n}`, { metadata: { who: 'eve' } })
    const before = await rig.partition.redis.xlen(rig.partition.keys.log)
    const asked = erase('eve').catch(() => undefined)
    const said = async () => (await rig.partition.redis.xlen(rig.partition.keys.log)) > before
    await eventually(said, { intervalMs: 1 })
    await app.process.kill()
    await asked
    app = await rig.startAudit(ENV)
    await eventually(async () => (await rowsOf('killed')).every(({ data }) => data === null))
    expect((await everything()).verdict).toBe('intact')
    expect((await erase('eve')).body).toMatchObject({ matching: 0, erased: 0, eventIds: [expect.any(String)] })
  })

  it('a payload that somebody took away is told from one that was erased', async () => {
    await emit('taken', 'ann')
    const taken = await emit('taken', 'bob')
    const { body } = await erase('ann', { namespace: 'taken' })
    await rig.sql('UPDATE records SET data = NULL, salt = NULL WHERE event_id = ?', taken)
    expect(await verdictOn('taken', 'bob')).toMatchObject({ verdict: 'tampered', level: 'payload', brokenAt: 0 })
    await rig.sql('UPDATE records SET erased_by = ? WHERE event_id = ?', body.eventIds[0] as string, taken)
    expect(await verdictOn('taken', 'bob')).toMatchObject({ verdict: 'tampered', level: 'payload', eventId: taken })
    expect(await verdictOn('taken', 'ann')).toMatchObject({ verdict: 'intact', erased: 1 })
  })
})

it('an erased payload is in no file of SQLite any more, the journal included', async () => {
  const rig = await startRig({ database: 'SQLite' })
  const app = await rig.startAudit()
  const emit = async (entityId: string, data: unknown) =>
    expect((await app.post('/v1/events/emit', emitBody({ entityId, data }))).status).toBe(201)
  // Some lie in their page, some are too long for one and go on in others.
  const payloadOf = (n: number) => `marked-${n}-${'q'.repeat(n % 5 === 0 ? 20_000 : 300 + n)}-marked-${n}-`
  const marked = (n: number) => emit(n % 4 === 3 ? 'kept' : 'gone', payloadOf(n))
  for (let n = 0; n < 200; n += 20) await Promise.all(Array.from({ length: 20 }, (_, index) => marked(n + index)))
  const folder = join(rig.home, 'audit')
  const inFiles = () => {
    const texts = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'latin1'))
    return new Set(texts.flatMap((text) => [...text.matchAll(/marked-(\d+)-/g)].map(([, n]) => Number(n))))
  }
  expect(inFiles().size).toBe(200)
  expect((await app.post('/v1/subjects/gone/erase', BY)).body).toMatchObject({ erased: 150 })
  await eventually(() => inFiles().size === 50)
  expect([...inFiles()].every((n) => n % 4 === 3)).toBe(true)
  expect((await app.get<Everything>('/v1/verify')).body).toMatchObject({ valid: true })
  await rig.stop()
})
