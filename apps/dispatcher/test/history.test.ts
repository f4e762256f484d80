import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import type { Replay } from '@millrace/contracts'
import { createPartitions, logStart, type Partition, readLogRange } from '@millrace/streams'
import { type ChildHandle, eventually, freePort, startProcess } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { dataAt, eventsPath, publish, subscribeTo } from './event-fixture.ts'
import { dispatcherOn, metricOf, type Rig, startRig } from './fixture.ts'

/** Each makes about four entries; the log is trimmed by the hundred. */
const COUNT = 150
const KEY = 'a key that only the audit app asks for, long enough'.replaceAll(' ', '-')

let rig: Rig
let partition: Partition
let home: string
let auditUrl: string
let audit: ChildHandle
beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'millrace-history-'))
  const port = await freePort()
  auditUrl = `http://127.0.0.1:${port}`
  rig = await startRig({ env: { SEPTOR_URL: auditUrl, MILLRACE_API_KEY: KEY, MILLRACE_EVENT_RETENTION_MS: '1000' } })
  partition = createPartitions(rig.redis.client(), 1).of('')
  audit = await startAudit(port)
  // Somebody has to subscribe, or the router does not read, and the log is kept for it.
  await subscribeTo(rig.client, 'now', {
    subscriptions: [{ name: 'all', types: ['past.sent'] }],
    url: rig.receiver.url,
  })
  for (let n = 0; n < COUNT; n++) await publish(rig.client, 'past.sent', { data: n, subject: 'one' })
  await rig.client.until('now', 'subscription:all', { succeeded: COUNT })
  await eventually(async () => (await logStart(partition)) !== undefined, { what: 'the log to be trimmed' })
}, 120_000)
afterAll(async () => {
  await audit.stop()
  await rig.stop()
  rmSync(home, { recursive: true, force: true })
})

function startAudit(port: number): Promise<ChildHandle> {
  return startProcess({
    file: new URL('../../audit/src/main.ts', import.meta.url),
    env: {
      REDIS_URL: rig.redis.url,
      MILLRACE_HOME: home,
      MILLRACE_AUDIT_PORT: String(port),
      MILLRACE_LOG_KEEP: '0',
      MILLRACE_ADMIN_KEY: KEY,
    },
    readyWhen: /service\.listening/,
    readyTimeoutMs: 45_000,
  })
}

const post = <Body>(path: string, body: unknown, client = rig.client) => client.call<Body>('POST', path, { body })
const ended = (id: string) =>
  eventually(
    async () => {
      const { body } = await rig.client.call<{ replays: Replay[] }>('GET', `/subscriptions/${id}/replays`)
      expect(body.replays[0]?.state).toBe('finished')
      return body.replays[0]!
    },
    { timeoutMs: 60_000 },
  )
const all = Array.from({ length: COUNT }, (_, n) => n)

describe('events that the log no longer has', { timeout: 240_000 }, () => {
  it('come from the audit store to a subscription that begins before the log, each once and in order', async () => {
    const path = eventsPath('begins', 'first')
    const subscriptions = [{ name: 'first', types: ['past.*'], startFrom: 'earliest', keyConcurrency: 1 }]
    await subscribeTo(rig.client, 'begins', { subscriptions, url: rig.receiver.url })
    await rig.receiver.waitFor(path, COUNT)
    await publish(rig.client, 'past.sent', { data: COUNT, subject: 'one' })
    await rig.receiver.waitFor(path, COUNT + 1)
    expect(dataAt(rig.receiver, path)).toEqual([...all, COUNT])
    expect((await metricOf(rig.client, 'millrace_subscription_lost_events_total')) ?? 0).toBe(0)
  })

  it('are counted and replayed over the seam, without those that were erased', async () => {
    const path = eventsPath('again', 'mail')
    const subscriptions = [{ name: 'mail', types: ['past.sent'] }]
    await subscribeTo(rig.client, 'again', { subscriptions, url: rig.receiver.url })
    const [first] = await readLogRange(partition, { count: 1 })
    expect(first && Number(first.position.split('-')[0])).toBeGreaterThan(0)
    const range = { from: 'earliest', ratePerSecond: 10_000 }
    const count = () => post<Record<string, number>>('/subscriptions/again.mail/replay', { ...range, dryRun: true })
    expect((await count()).body).toMatchObject({ matching: COUNT + 1, erased: 0 })

    const database = new DatabaseSync(join(home, 'audit', 'audit.sqlite'), { timeout: 5000 })
    const statement = `UPDATE records SET data = NULL, salt = NULL WHERE kind = 'event' AND data LIKE '%"data":7}'`
    expect(database.prepare(statement).run().changes).toBe(1)
    database.close()
    expect((await count()).body).toMatchObject({ matching: COUNT, erased: 1 })
    const started = await post<Replay>('/subscriptions/again.mail/replay', range)
    expect(started.status, JSON.stringify(started.body)).toBe(202)
    const replay = await ended('again.mail')
    expect([replay.replayed, replay.erased]).toEqual([COUNT, 1])
    await rig.receiver.waitFor(path, COUNT)
    const numbers = (dataAt(rig.receiver, path) as number[]).toSorted((a, b) => a - b)
    expect(numbers).toEqual([...all, COUNT].filter((n) => n !== 7))
  })

  it('are waited for while the audit app is away, and are refused to who asks meanwhile', async () => {
    const path = eventsPath('waits', 'mail')
    await audit.stop()
    const subscriptions = [{ name: 'mail', types: ['past.sent'], startFrom: 'earliest' }]
    await subscribeTo(rig.client, 'waits', { subscriptions, url: rig.receiver.url })
    const refused = await post<{ code: string }>('/subscriptions/waits.mail/move', { to: 'earliest' })
    expect([refused.status, refused.body.code]).toEqual([503, 'history.unavailable'])
    expect(refused.headers.get('retry-after')).toBe('5')
    await publish(rig.client, 'past.sent', { data: 'meanwhile', subject: 'one' })
    // The others do not wait.
    await eventually(() => dataAt(rig.receiver, eventsPath('now', 'all')).includes('meanwhile'))
    expect(rig.receiver.requests(path)).toEqual([])
    audit = await startAudit(Number(new URL(auditUrl).port))
    await rig.receiver.waitFor(path, COUNT + 1)
    await eventually(() => dataAt(rig.receiver, path).includes('meanwhile'))
    expect(dataAt(rig.receiver, path)).toHaveLength(COUNT + 1)
    // It was older than the log keeps events for anybody, all the while.
    expect((await metricOf(rig.client, 'millrace_subscription_lost_events_total')) ?? 0).toBe(0)
  })

  it('are refused where there is no audit app, with where the log begins', async () => {
    const other = await dispatcherOn(rig.redis.url)
    const refused = await post<{ code: string; detail: string }>(
      '/subscriptions/again.mail/replay',
      { from: 'earliest' },
      other.client,
    )
    expect([refused.status, refused.body.code]).toEqual([422, 'history.missing'])
    expect(refused.body.detail).toMatch(/^The log begins at \d{4}-\S+Z\. Begin there or later; or set SEPTOR_URL/)
    const from = /begins at (\S+Z)/.exec(refused.body.detail)?.[1]
    const counted = await post('/subscriptions/again.mail/replay', { from, dryRun: true }, other.client)
    expect(counted.status).toBe(200)
    await other.dispatcher.stop()
  })

  it('are not asked for backwards', async () => {
    const range = { from: '2026-02-01T00:00:00Z', to: '2026-01-01T00:00:00Z' }
    const { status, body } = await post<{ errors: { pointer: string }[] }>('/subscriptions/again.mail/replay', range)
    expect([status, body.errors[0]?.pointer]).toEqual([422, '/from'])
  })
})
