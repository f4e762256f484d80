import type { DeadLetter, JobView, QueueCounts } from '@millrace/contracts'
import { type ChildHandle, eventually } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { findPlace, getJson, type Place, runCommand, startUp } from './platform.ts'
import { seedManifest } from './seed-manifest.ts'
import { type SeedService, startSeedService } from './seed-service.ts'

// A user's service, its handlers shaped as the documentation of this kind of platform shapes them, against everything
// that `millrace up` runs: real processes, real Redis, real HTTP.
let place: Place
let platform: ChildHandle
let service: SeedService
let namespace: string
let round = 0

beforeAll(async () => {
  place = await findPlace()
  platform = await startUp(place)
}, 60_000)
afterAll(async () => {
  await platform.stop()
  await place.remove()
})
beforeEach(async () => {
  namespace = `my-service-${++round}`
  service = await startSeedService({ queueUrl: place.urls.dispatcher, septorUrl: place.urls.audit, namespace })
  await apply({ retryDelayMs: 50 })
})
afterEach(async () => {
  for (const counts of await queues()) {
    const { accepted, succeeded, dead, cancelled, expired, waiting, scheduled, running } = counts
    expect(succeeded + dead + cancelled + expired + waiting + scheduled + running, `${counts.queue} is conserved`).toBe(
      accepted,
    )
  }
  await service.stop()
})

async function apply(options: Parameters<typeof seedManifest>[0]): Promise<void> {
  const manifest = await seedManifest({ ...options, name: namespace })
  const response = await fetch(`${place.urls.dispatcher}/services/${namespace}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ manifest, url: service.url, who: 'test' }),
  })
  expect(response.status, await response.clone().text()).toBe(200)
}
const queues = async () =>
  (await getJson<{ queues: QueueCounts[] }>(`${place.urls.dispatcher}/queues?namespace=${namespace}`)).queues
const deadLetters = async () =>
  (await getJson<{ deadLetters: DeadLetter[] }>(`${place.urls.dispatcher}/dead-letters?namespace=${namespace}`))
    .deadLetters
const job = (id: string, wait = '20s') => getJson<JobView>(`${place.urls.audit}/v1/jobs/${id}?wait=${wait}`)
const trigger = async () => {
  const response = await fetch(`${place.urls.scheduler}/schedules/${namespace}/nightly-sync/trigger`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ who: 'test' }),
  })
  expect(response.status).toBe(202)
}

describe('the handlers of a user, unchanged', { timeout: 240_000 }, () => {
  it('nightly-sync: the schedule fires, the service fans out, each record is synced once and audited', async () => {
    const records = Array.from({ length: 40 }, (_, index) => `rec_${index}`)
    service.setPendingRecords(records)
    await trigger()
    expect((await service.waitForPerformed('sync-record', 40)).toSorted()).toEqual(records.toSorted())
    const [tick] = service.deliveries('nightly-sync')
    expect(tick?.headers).toMatchObject({ 'x-schedule-name': 'nightly-sync', 'x-cron-expression': '0 2 * * *' })
    expect(tick?.headers['x-fired-at']).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
    expect(tick?.body).toMatchObject({ schedule: 'nightly-sync', attempt: 1 })
    expect(service.maxInFlight('sync-record')).toBeLessThanOrEqual(10)

    type Events = { data: { events: { entityId: string; metadata: { who: string } }[] } }
    const synced = await eventually(async () => {
      const { data } = await getJson<Events>(`${place.urls.audit}/v1/events?namespace=${namespace}&eventType=record.*`)
      return data.events.length === 40 && data.events
    })
    expect(new Set(synced.map(({ entityId }) => entityId))).toEqual(new Set(records))
    const { septor } = service
    const [first] = synced
    const asked = { eventType: 'rec*.synced', who: first?.metadata.who, field: 'attempt', equals: 1 }
    expect((await septor.count(asked)).data).toEqual({ count: 40, lookedAt: 40, complete: true })
    expect((await septor.count({ ...asked, entityId: 'rec_7' })).data.count).toBe(1)
    expect((await septor.count({ text: 'rec_7 attempt' })).data.count).toBe(
      (await septor.query({ text: 'rec_7 attempt' })).data.events.length,
    )
    expect((await septor.count({ ...asked, until: new Date(0) })).data.count).toBe(0)
    expect((await septor.getChain('rec_7')).data).toMatchObject({
      valid: true,
      chain: [{ entityId: 'rec_7', chainIndex: 0 }],
    })
    expect((await septor.verify('rec_7')).data).toEqual({
      verdict: 'intact',
      valid: true,
      totalEvents: 1,
      erased: 0,
    })
  })

  it('a worker that fails its first attempts is retried with growing delays and then done', async () => {
    service.failFirst('sync-record', 2)
    const id = await service.enqueue('sync-record', { recordId: 'rec_1' })
    const done = await job(id)
    expect(done).toMatchObject({ state: 'succeeded', attempts: 3 })
    expect(done.history.map(({ type }) => type)).toEqual([
      'job.enqueued',
      ...['job.started', 'job.attempt_failed', 'job.ready', 'job.started', 'job.attempt_failed', 'job.ready'],
      ...['job.started', 'job.succeeded'],
    ])
    const deliveries = service.deliveries('sync-record')
    expect(deliveries.map(({ body }) => (body as { attempt: number }).attempt)).toEqual([1, 2, 3])
    expect(new Set(deliveries.map(({ headers }) => headers['idempotency-key']))).toEqual(new Set([id]))
  })

  it('a worker that always fails ends as a dead letter, and is done once it is mended and redriven', async () => {
    service.alwaysFail('process-claim')
    const id = await service.enqueue('process-claim', { claimId: 'claim_1' })
    expect(await job(id)).toMatchObject({ state: 'dead', attempts: 4, reason: 'http_status' })
    expect(await deadLetters()).toMatchObject([
      { id, queue: 'process-claim', attempts: 4, data: { claimId: 'claim_1' }, lastResponse: { status: 500 } },
    ])

    service.recover('process-claim')
    const redrive = await runCommand(
      place,
      'dead-letters',
      'redrive',
      namespace,
      'process-claim',
      '--all',
      '--why',
      'mended',
    )
    expect(redrive.stdout.trim()).toBe('1 redriven')
    await service.waitForPerformed('process-claim', 1)
    await eventually(async () => (await job(id, '1s')).state === 'succeeded')
    expect(await deadLetters()).toEqual([])
  })

  it('a worker that hangs past timeoutMs fails that attempt and is tried again', async () => {
    await apply({ retryDelayMs: 50, timeoutMs: 300 })
    service.hang('process-claim', 1)
    const id = await service.enqueue('process-claim', { claimId: 'claim_2' })
    const done = await job(id)
    expect(done).toMatchObject({ state: 'succeeded', attempts: 2 })
    expect(done.history.find(({ type }) => type === 'job.attempt_failed')?.data).toMatchObject({ reason: 'timeout' })
  })

  it('a worker that is down gets its jobs when it comes up', async () => {
    await apply({ retryDelayMs: 100, retries: 20 })
    await service.stop()
    const ids = await Promise.all(
      ['claim_3', 'claim_4', 'claim_5'].map((claimId) => service.enqueue('process-claim', { claimId })),
    )
    await eventually(async () =>
      (await queues()).some(({ queue, scheduled }) => queue === 'process-claim' && scheduled > 0),
    )
    await service.start()
    expect((await service.waitForPerformed('process-claim', 3)).toSorted()).toEqual(['claim_3', 'claim_4', 'claim_5'])
    for (const id of ids) expect(await job(id)).toMatchObject({ state: 'succeeded' })
  })

  it('a report that a user asks for is queued at once and made afterwards', async () => {
    const response = await fetch(`${service.url}/api/reports/generate`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    })
    expect(await response.json()).toMatchObject({ success: true, status: 'queued' })
    expect(await service.waitForPerformed('generate-report', 1)).toHaveLength(1)
  })

  it('a pipeline goes from step to step', async () => {
    service.failFirst('step-one', 1)
    await service.enqueue('step-one', { orderId: 'order_1' })
    expect(await service.waitForPerformed('step-two', 1)).toEqual(['order_1'])
    expect(service.deliveries('step-two')[0]?.body).toMatchObject({ data: { orderId: 'order_1' } })
  })

  it('one trace goes from the producer to the worker', async () => {
    const traceparent = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'
    await fetch(`${place.urls.dispatcher}/jobs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', traceparent },
      body: JSON.stringify({ namespace, queue: 'step-two', data: { orderId: 'order_2' } }),
    })
    const [delivery] = await service.waitForDeliveries('step-two', 1)
    expect(delivery?.headers.traceparent).toContain('0af7651916cd43dd8448eb211c80319c')
  })
})

describe('the command', { timeout: 240_000 }, () => {
  it('enqueues, waits for a job and shows its history', async () => {
    const enqueued = await runCommand(place, 'enqueue', namespace, 'process-claim', '{"claimId":"claim_9"}', '--json')
    const { id } = JSON.parse(enqueued.stdout) as { id: string }
    const shown = await runCommand(place, 'jobs', 'get', id, '--wait', '20s')
    expect(shown.stdout).toMatch(
      new RegExp(`^${id} {2}${namespace}/process-claim\\n {2}state {5}succeeded after 1 attempt`),
    )
    expect(shown.stdout).toMatch(/job\.succeeded/)
  })

  it('lists dead letters and redrives the named ones', async () => {
    await apply({ retries: 0, retryDelayMs: 10 })
    service.alwaysFail('sync-record')
    const ids = await Promise.all(['a', 'b'].map((recordId) => service.enqueue('sync-record', { recordId })))
    for (const id of ids) await job(id)
    const list = await runCommand(place, 'dead-letters', 'list', namespace)
    for (const id of ids) expect(list.stdout).toContain(id)
    service.recover('sync-record')
    const redriven = await runCommand(
      place,
      'dead-letters',
      'redrive',
      namespace,
      'sync-record',
      '--id',
      ids[0] as string,
      '--json',
    )
    expect(JSON.parse(redriven.stdout)).toEqual({ redriven: 1, ids: [ids[0]] })
  })

  it('triggers a schedule and counts the queues', async () => {
    const fired = await runCommand(place, 'trigger', namespace, 'nightly-sync', '--why', 'a test')
    expect(fired.stdout).toMatch(/^fired as job_/)
    await service.waitForPerformed('sync-record', 3)
    const shown = await runCommand(place, 'queues', namespace)
    expect(shown.stdout).toMatch(new RegExp(`${namespace}/sync-record +0 +0 +\\d`))
  })

  it('pauses a queue, explains a job that waits, cancels it, and purges the rest with a token', async () => {
    const paused = await runCommand(place, 'queue', 'pause', namespace, 'process-claim', '--why', 'a test')
    expect(paused.stdout.trim()).toBe(`${namespace}/process-claim paused`)
    const [id] = await Promise.all(
      ['claim_a', 'claim_b'].map((claimId) => service.enqueue('process-claim', { claimId })),
    )
    const explained = await runCommand(place, 'jobs', 'explain', id as string)
    expect(explained.stdout).toMatch(/queue_paused +The queue was paused by .*: a test/)
    const cancelled = await runCommand(place, 'jobs', 'cancel', id as string, '--why', 'a test')
    expect(cancelled.stdout).toMatch(/cancelled$/m)
    const counted = await runCommand(place, 'queue', 'purge', namespace, 'process-claim', '--json')
    const { waiting, token } = JSON.parse(counted.stdout) as { waiting: number; token: string }
    expect(waiting).toBe(1)
    const purged = await runCommand(
      place,
      'queue',
      'purge',
      namespace,
      'process-claim',
      '--token',
      token,
      '--why',
      'a test',
    )
    expect(purged.stdout.trim()).toBe('1 cancelled')
    await runCommand(place, 'queue', 'resume', namespace, 'process-claim')
    const drained = await runCommand(place, 'queue', 'drain', namespace, 'process-claim', '--why', 'a test')
    expect(drained.stdout.trim()).toBe(`${namespace}/process-claim draining`)
    expect((await runCommand(place, 'queues', namespace)).stdout).toContain('process-claim (draining)')
    await runCommand(place, 'queue', 'resume', namespace, 'process-claim')
  })

  it('verifies one entity and the whole trail', async () => {
    await service.enqueue('sync-record', { recordId: 'rec_v' })
    await eventually(async () =>
      (await runCommand(place, 'audit', 'verify', 'rec_v', '--namespace', namespace)).output.includes(
        'intact: 1 records',
      ),
    )
    expect((await runCommand(place, 'audit', 'verify')).output).toMatch(/^intact: \d+ records in \d+ chains/)
  })

  it('explains refusals with the field and the fix, and exits with 1', async () => {
    const unknown = await runCommand(place, 'enqueue', namespace, 'sync-recrod', '{}')
    expect(unknown).toMatchObject({ code: 1 })
    expect(unknown.output).toMatch(/queue\.unknown[\s\S]*It declares: sync-record/)
    const text = await runCommand(place, 'enqueue', namespace, 'sync-record', '{oops')
    expect(text.output).toMatch(/data is not JSON/)
    const away = await runCommand(place, 'queues', '--url', 'http://127.0.0.1:1')
    expect(away.output).toMatch(/Cannot reach http:\/\/127\.0\.0\.1:1/)
    expect(away.output).not.toMatch(/^\s+at /m)
    const missing = await runCommand(place, 'apply', '/nowhere/catalog-info.yaml')
    expect(missing.output).toMatch(/Cannot read \/nowhere\/catalog-info\.yaml: ENOENT/)
  })
})
