import { formatId } from '@millrace/contracts'
import {
  type ClaimedJob,
  cancel,
  claim,
  emit,
  enqueue,
  lease,
  moveDue,
  openQueues,
  redrive,
  reschedule,
  settle,
} from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AuditApp, type AuditEvent, DATABASES, type JobView, type Problem, type Rig, startRig } from './support.ts'

let rig: Rig
let app: AuditApp

const ADDRESS = 'shop/send-mail'
const CONSUMER = 'dispatcher-1'

describe.each(DATABASES)('with %s', (database) => {
  beforeAll(async () => {
    rig = await startRig({ database })
    app = await rig.startAudit()
    await openQueues(rig.partition, [{ address: ADDRESS }])
    await lease(rig.partition, { action: 'join', consumer: CONSUMER, ttlMs: 600_000 })
  })
  afterAll(() => rig.stop())

  async function enqueueOne(data = '{"orderId":7}', inMs?: number): Promise<string> {
    const [job] = await enqueue(rig.partition, [
      { address: ADDRESS, lane: 'normal', data, ...(inMs !== undefined && { due: { inMs } }) },
    ])
    return job?.id as string
  }

  async function claimOne(): Promise<ClaimedJob> {
    return eventually(async () => {
      const claimed = await claim(rig.partition, { consumer: CONSUMER, address: ADDRESS, concurrency: 5, want: 1 })
      return claimed.kind === 'claimed' ? claimed.jobs[0] : undefined
    })
  }

  const succeed = (job: ClaimedJob) =>
    settle(rig.partition, {
      consumer: CONSUMER,
      address: ADDRESS,
      attempts: [{ job, settlement: { kind: 'succeeded', status: 200, durationMs: 12 } }],
    })

  const fail = (job: ClaimedJob, kind: 'retry' | 'dead') =>
    settle(rig.partition, {
      consumer: CONSUMER,
      address: ADDRESS,
      attempts: [
        {
          job,
          settlement: {
            kind,
            delayMs: 1,
            reason: 'http_status',
            durationMs: 5,
            lastResponse: { status: 500, body: 'no' },
          },
        },
      ],
    })

  const state = async (id: string) => (await app.get<JobView>(`/v1/jobs/${id}`)).body.state

  describe('a job', () => {
    it('has its whole history after a life with a failure', async () => {
      const payload = '{"n":9007199254740993, "to":"a@b"}'
      const id = await enqueueOne(payload, 1)
      await eventually(async () => (await moveDue(rig.partition, { limit: 10 })).moved === 1)
      await fail(await claimOne(), 'retry')
      await eventually(async () => (await moveDue(rig.partition, { limit: 10 })).moved === 1)
      await succeed(await claimOne())

      const { status, body, text } = await app.get<JobView>(`/v1/jobs/${id}?wait=5s`)
      expect(status).toBe(200)
      expect(body).toMatchObject({
        id,
        namespace: 'shop',
        queue: 'send-mail',
        kind: 'queue',
        state: 'succeeded',
        attempts: 2,
      })
      expect(body.history.map(({ type }) => type)).toEqual([
        'job.enqueued',
        'job.ready',
        'job.started',
        'job.attempt_failed',
        'job.ready',
        'job.started',
        'job.succeeded',
      ])
      expect(body.history[3]?.data).toMatchObject({ reason: 'http_status', status: 500, lastResponse: { body: 'no' } })
      expect(body.finishedAt).toBe(body.history.at(-1)?.at)
      expect(text).toContain(`"data":${payload},"history"`)

      const events = await app.get<{ events: AuditEvent[] }>(`/v1/jobs/${id}/events`)
      expect(events.body.events.map(({ chainIndex }) => chainIndex)).toEqual([0, 1, 2, 3, 4, 5, 6])
      expect(events.body.events[2]?.metadata.who).toBe(CONSUMER)
      expect((await app.get<{ data: unknown }>(`/v1/events/${id}/verify?namespace=shop`)).body.data).toMatchObject({
        valid: true,
      })
    })

    it('is dead with its reason, and waits again when redriven', async () => {
      const id = await enqueueOne()
      await fail(await claimOne(), 'dead')
      expect((await app.get<JobView>(`/v1/jobs/${id}?wait=5s`)).body).toMatchObject({
        state: 'dead',
        reason: 'http_status',
        attempts: 1,
      })
      await redrive(rig.partition, { address: ADDRESS, limit: 10, who: 'ann', why: 'the endpoint is mended' })
      await eventually(async () => (await state(id)) === 'waiting')
      const { body } = await app.get<{ events: AuditEvent[] }>(`/v1/jobs/${id}/events`)
      expect(body.events.at(-1)).toMatchObject({
        eventType: 'job.redriven',
        metadata: { who: 'ann', why: 'the endpoint is mended' },
      })
      await succeed(await claimOne())
    })

    it('has the result that its endpoint answered, as it came', async () => {
      const id = await enqueueOne()
      const job = await claimOne()
      const settlement = { kind: 'succeeded', status: 200, durationMs: 1, result: '{"n":9007199254740993}' } as const
      await settle(rig.partition, { consumer: CONSUMER, address: ADDRESS, attempts: [{ job, settlement }] })
      const { text } = await app.get<JobView>(`/v1/jobs/${id}?wait=5s`)
      expect(text).toContain('"result":{"n":9007199254740993}')
    })

    it('is cancelled by whom it says, after another time was set', async () => {
      const id = await enqueueOne('{}', 60_000)
      await reschedule(rig.partition, { id, due: { atMs: 4102444800000 }, by: { who: 'ada' } })
      await eventually(
        async () => (await app.get<JobView>(`/v1/jobs/${id}`)).body.nextAttemptAt === '2100-01-01T00:00:00.000Z',
      )
      await cancel(rig.partition, { id, by: { who: 'ada', why: 'wrong order' } })
      const { body } = await app.get<JobView>(`/v1/jobs/${id}?wait=5s`)
      expect(body).toMatchObject({ state: 'cancelled', finishedAt: expect.any(String) })
      const { body: found } = await app.get<{ data: { events: AuditEvent[] } }>(
        `/v1/events?namespace=shop&entityId=${id}&who=ada`,
      )
      expect(found.data.events.map(({ eventType, metadata }) => [eventType, metadata.why])).toEqual([
        ['job.rescheduled', undefined],
        ['job.cancelled', 'wrong order'],
      ])
    })

    it('shows the progress that was reported last', async () => {
      const id = await enqueueOne()
      for (const progress of [1, 2]) {
        const fact = { kind: 'job', type: 'job.progress', namespace: 'shop', queue: 'send-mail', entityId: id } as const
        await emit(rig.partition, [{ ...fact, data: `{"title":"t","total":2,"progress":${progress}}` }])
      }
      await eventually(
        async () =>
          (await app.get<{ progress?: { progress: number } }>(`/v1/jobs/${id}`)).body.progress?.progress === 2,
      )
      await succeed(await claimOne())
    })

    it('that is debounced has the payload of its last update', async () => {
      const unique = { key: 'k', mode: 'debounce', periodMs: 60_000 } as const
      const job = {
        address: ADDRESS,
        lane: 'normal',
        unique,
        meta: { unique: { key: 'k', mode: 'debounce' } },
      } as const
      const [first] = await enqueue(rig.partition, [{ ...job, data: '"one"' }])
      await enqueue(rig.partition, [{ ...job, data: '"two"' }])
      await eventually(async () => (await app.get<JobView>(`/v1/jobs/${first?.id}`)).body.data === 'two')
    })

    it('is no other for an audit event that a service emits under its id', async () => {
      const id = await enqueueOne()
      await eventually(async () => (await app.get(`/v1/jobs/${id}`)).status === 200)
      const faked = { namespace: 'shop', eventType: 'job.succeeded', entityId: id, metadata: { who: 'mallory' } }
      expect((await app.post('/v1/events/emit', faked)).status).toBe(201)
      const { body } = await app.get<JobView>(`/v1/jobs/${id}`)
      expect([body.state, body.history.length]).toEqual(['waiting', 1])
      await succeed(await claimOne())
    })
  })

  describe('?wait=', () => {
    it('answers when the job is final, as soon as it is', async () => {
      const id = await enqueueOne()
      const answer = app.get<JobView>(`/v1/jobs/${id}?wait=20s`)
      const startedMs = performance.now()
      await succeed(await claimOne())
      expect((await answer).body.state).toBe('succeeded')
      expect(performance.now() - startedMs).toBeLessThan(5000)
    })

    it('answers the job as it is when the time is over', async () => {
      const id = await enqueueOne()
      const startedMs = performance.now()
      expect((await app.get<JobView>(`/v1/jobs/${id}?wait=300`)).body.state).toBe('waiting')
      expect(performance.now() - startedMs).toBeGreaterThanOrEqual(290)
      await succeed(await claimOne())
    })

    it('waits for a job that is not there yet, and not for what cannot be one', async () => {
      const startedMs = performance.now()
      const plausible = formatId({ prefix: 'job', ms: 1767225600000, seq: 0, partition: 0 })
      const answer = await app.get<Problem>(`/v1/jobs/${plausible}?wait=200ms`)
      expect([answer.status, answer.body.code]).toEqual([404, 'job.unknown'])
      expect(performance.now() - startedMs).toBeGreaterThanOrEqual(190)
      for (const id of [
        'nonsense',
        'evt_00000000000000000000',
        formatId({ prefix: 'job', ms: 1, seq: 0, partition: 7 }),
      ]) {
        expect((await app.get<Problem>(`/v1/jobs/${id}?wait=20s`)).body.code).toBe('job.unknown')
      }
      expect((await app.get<Problem>(`/v1/jobs/${plausible}/events`)).body.code).toBe('job.unknown')
    })

    it.each(['soon', '-1', '61s', '60001', '5m', '1.5s', ''])('refuses to wait for %j', async (wait) => {
      const answer = await app.get<Problem>(`/v1/jobs/nonsense?wait=${wait}`)
      expect([answer.status, answer.body.errors?.[0]?.pointer]).toEqual([422, '/wait'])
    })

    it('answers who waits when the process stops', async () => {
      const other = await rig.startAudit()
      const id = await enqueueOne()
      await eventually(async () => (await other.get(`/v1/jobs/${id}`)).status === 200)
      const answer = other.get<JobView>(`/v1/jobs/${id}?wait=60s`)
      await eventually(async () => (await fetch(`${other.url}/livez`)).ok)
      expect(await other.process.stop()).toEqual({ code: 0, signal: null })
      expect((await answer).body.state).toBe('waiting')
      await succeed(await claimOne())
    })
  })

  describe('the list of jobs', () => {
    it('goes from new to old, by pages, with filters', async () => {
      await openQueues(rig.partition, [{ address: 'list/a' }, { address: 'list/schedule:nightly' }])
      const ids: string[] = []
      for (const address of ['list/a', 'list/a', 'list/schedule:nightly', 'list/a']) {
        const [job] = await enqueue(rig.partition, [{ address, lane: 'normal', data: `{"to":"${address}"}` }])
        ids.unshift(job?.id as string)
      }
      await eventually(async () => (await app.get(`/v1/jobs/${ids[0]}`)).status === 200)
      const list = async (query: string) =>
        (await app.get<{ jobs: JobView[]; cursor?: string }>(`/v1/jobs?${query}`)).body
      const page = await list('namespace=list&limit=3')
      expect(page.jobs.map(({ id }) => id)).toEqual(ids.slice(0, 3))
      expect(page.jobs[1]).toMatchObject({
        kind: 'schedule',
        queue: 'schedule:nightly',
        data: { to: 'list/schedule:nightly' },
      })
      const rest = await list(`namespace=list&limit=3&cursor=${page.cursor}`)
      expect(rest).toMatchObject({ jobs: [{ id: ids[3] }] })
      expect(rest.cursor).toBeUndefined()
      expect((await list('namespace=list&queue=a')).jobs).toHaveLength(3)
      expect((await list('namespace=list&state=succeeded')).jobs).toEqual([])
      expect((await list(`namespace=list&until=${page.jobs[0]?.enqueuedAt}`)).jobs.map(({ id }) => id)).not.toContain(
        ids[0],
      )
      expect((await list(`namespace=list&since=${page.jobs[0]?.enqueuedAt}`)).jobs[0]?.id).toBe(ids[0])
    })

    it.each(['state=broken', 'limit=0', 'colour=red', 'cursor=%20', 'namespace=Shop', 'since=1'])(
      'refuses %s',
      async (query) => {
        const answer = await app.get<Problem>(`/v1/jobs?${query}`)
        expect([answer.status, answer.body.code]).toEqual([422, 'request.invalid'])
      },
    )
  })
})
