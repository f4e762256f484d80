import { eventually, type Receiver, startReceiver } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { seedManifest } from './seed-manifest.ts'
import { type SeedService, startSeedService } from './seed-service.ts'

// The seed service by itself, so that a failure of the end-to-end test is not looked for in its rig.
let platform: Receiver
let service: SeedService

beforeEach(async () => {
  platform = await startReceiver()
  platform.script('/jobs', { status: 202, body: { id: 'job_1', durability: 'fsync' } })
  platform.script('/v1/events/emit', { status: 201, body: { success: true, data: { eventId: 'evt_1' } } })
  service = await startSeedService({ queueUrl: platform.url, septorUrl: platform.url })
})

afterEach(async () => {
  await service.stop()
  await platform.stop()
})

describe('the seed service', () => {
  it('answers the tick and fans out one job per pending record', async () => {
    service.setPendingRecords(['rec_7', 'rec_8'])
    expect(await post('/internal/cron/nightly-sync', { schedule: 'nightly-sync' })).toBe(200)
    const jobs = (await platform.waitFor('/jobs', 2)).map((request) => request.json())
    expect(jobs).toContainEqual({ namespace: 'my-service', queue: 'sync-record', data: { recordId: 'rec_8' } })
    expect(service.deliveries('nightly-sync')).toMatchObject([{ body: { schedule: 'nightly-sync' }, aborted: false }])
  })

  it('fails the first tries of each item, then works, then skips', async () => {
    service.failFirst('sync-record', 2)
    const statuses = []
    for (const attempt of [1, 2, 3, 4]) statuses.push(await deliver('sync-record', { recordId: 'rec_1' }, attempt))
    expect(statuses).toEqual([500, 500, 200, 200])
    expect(service.performed('sync-record')).toEqual(['rec_1'])
    expect(await deliver('sync-record', { recordId: 'rec_2' })).toBe(500)
    const [request] = await platform.waitFor('/v1/events/emit', 1)
    expect(request?.json()).toMatchObject({ eventType: 'record.synced', entityId: 'rec_1', data: { attempt: 3 } })
  })

  it('always fails until it recovers', async () => {
    service.alwaysFail('process-claim')
    expect(await deliver('process-claim', { claimId: 'c_1' })).toBe(500)
    service.recover('process-claim')
    expect(await deliver('process-claim', { claimId: 'c_1' })).toBe(200)
  })

  it('hangs until the caller leaves', async () => {
    service.hang('generate-report', 1)
    const signal = AbortSignal.timeout(100)
    await expect(deliver('generate-report', { reportId: 'report_1' }, 1, signal)).rejects.toThrow()
    expect(await deliver('generate-report', { reportId: 'report_1' }, 2)).toBe(200)
    await eventually(() => {
      expect(service.deliveries('generate-report')).toMatchObject([
        { aborted: true, status: undefined },
        { aborted: false, status: 200 },
      ])
      return true
    })
  })

  it('passes an order from step one to step two', async () => {
    service.failFirst('step-one', 1)
    expect(await deliver('step-one', { orderId: 'o_1' })).toBe(500)
    expect(await deliver('step-one', { orderId: 'o_1' })).toBe(200)
    expect(platform.requests('/jobs').map((request) => request.json())).toEqual([
      { namespace: 'my-service', queue: 'step-two', data: { orderId: 'o_1' } },
    ])
  })

  it('queues a report that a user asked for', async () => {
    expect(await post('/api/reports/generate', { month: 1 })).toBe(200)
    expect(platform.requests('/jobs')[0]?.json()).toMatchObject({
      queue: 'generate-report',
      data: { reportId: 'report_1' },
    })
  })

  it('goes down and comes up on the same port with what it has done', async () => {
    await deliver('sync-record', { recordId: 'rec_1' })
    await service.stop()
    await expect(deliver('sync-record', { recordId: 'rec_2' })).rejects.toThrow('fetch failed')
    await service.start()
    expect(await deliver('sync-record', { recordId: 'rec_1' })).toBe(200)
    expect(service.performed('sync-record')).toEqual(['rec_1'])
  })
})

describe('the seed manifest', () => {
  it('changes the numbers that a test gives, and nothing else', async () => {
    const text = await seedManifest({ name: 'e2e', retries: 1, retryDelayMs: 20, timeoutMs: 300, cron: '*/5 * * * *' })
    const original = (await seedManifest()).split('\n')
    const changed = text.split('\n').filter((line, index) => line !== original[index])
    expect([...new Set(changed.map((line) => line.trim()))].sort()).toEqual([
      'cron: "*/5 * * * *"',
      'name: e2e',
      'retries: 1',
      'retryDelayMs: 20',
      'timeoutMs: 300',
    ])
    expect(changed).toHaveLength(1 + 1 + 2 + 5 + 5)
    expect(text).toContain('timeoutMs: 60000')
  })
})

function deliver(queue: string, data: object, attempt = 1, signal?: AbortSignal): Promise<number> {
  return post(`/internal/jobs/${queue}`, { jobId: `job_${attempt}`, queue, attempt, data }, signal)
}

async function post(path: string, body: object, signal?: AbortSignal): Promise<number> {
  const headers = { 'content-type': 'application/json' }
  const init = { method: 'POST', headers, body: JSON.stringify(body), ...(signal && { signal }) }
  const response = await fetch(`${service.url}${path}`, init)
  await response.text()
  return response.status
}
