import type { QueueCounts } from '@millrace/contracts'
import { type ChildHandle, eventually, type Receiver, startReceiver } from '@millrace/testkit'
import { Webhook } from 'standardwebhooks'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPlace, getJson, type Place, startUp } from '../e2e/platform.ts'
import { type Content, unpack, writtenVersions } from './home.ts'

describe.each(writtenVersions())('a data folder that %s wrote', { timeout: 240_000 }, (version) => {
  let place: Place
  let content: Content
  let platform: ChildHandle
  let service: Receiver
  beforeAll(async () => {
    service = await startReceiver()
    place = await findPlace()
    content = unpack(version, place.home)
    platform = await startUp(place)
    await call('PUT', '/services/shop', { manifest: content.manifest, url: service.url, who: 'test' })
  })
  afterAll(async () => {
    await platform?.stop()
    await service?.stop()
    await place?.remove()
  })

  const call = async <T>(method: string, path: string, body?: unknown, app: keyof Place['urls'] = 'dispatcher') => {
    const headers = { 'content-type': 'application/json' }
    const init = { method, headers, ...(body !== undefined && { body: JSON.stringify(body) }) }
    const response = await fetch(`${place.urls[app]}${path}`, init)
    const text = await response.text()
    expect(response.ok, `${path}: ${text}`).toBe(true)
    return JSON.parse(text) as T
  }
  const resume = (queue: string) => call('POST', `/queues/shop/${queue}/resume`, { who: 'test' })
  const idsAt = (path: string) => service.requests(path).map(({ headers }) => String(headers['webhook-id']))
  const countsOf = async (name: string) => {
    const { queues } = await getJson<{ queues: QueueCounts[] }>(`${place.urls.dispatcher}/queues?namespace=shop`)
    return queues.find(({ queue }) => queue === name)
  }

  it('has its jobs where they were: waiting in order, behind their keys, for their time, and dead', async () => {
    const { waiting, large, byKey, scheduled, dead, succeeded } = content
    expect(await countsOf('later')).toMatchObject({ waiting: waiting.length, paused: { who: 'test' } })
    await resume('later')
    await service.waitFor('/internal/later', waiting.length)
    expect(idsAt('/internal/later').toSorted()).toEqual([...waiting].toSorted())
    const [last] = service.requests('/internal/later').filter(({ headers }) => headers['webhook-id'] === waiting.at(-1))
    expect(JSON.parse(last?.body ?? '')).toMatchObject({ data: large })

    await resume('in-order')
    await service.waitFor('/internal/in-order', Object.values(byKey).flat().length)
    for (const ids of Object.values(byKey))
      expect(idsAt('/internal/in-order').filter((id) => ids.includes(id))).toEqual(ids)

    expect(await call('GET', `/v1/jobs/${scheduled}`, undefined, 'audit')).toMatchObject({ state: 'scheduled' })
    await call('POST', `/jobs/${scheduled}/reschedule`, { delayMs: 0, who: 'test' })
    await call('POST', `/jobs/${dead}/retry`, { who: 'test' })
    await Promise.all([service.waitFor('/internal/mail', 1), service.waitFor('/internal/fails', 1)])
    expect([idsAt('/internal/mail'), idsAt('/internal/fails')]).toEqual([[scheduled], [dead]])
    await eventually(
      async () => (await call<{ state: string }>('GET', `/v1/jobs/${dead}`, undefined, 'audit')).state === 'succeeded',
    )
    expect(await call('GET', `/v1/jobs/${succeeded}`, undefined, 'audit')).toMatchObject({ state: 'succeeded' })
    for (const name of ['mail', 'fails', 'later', 'in-order']) {
      await eventually(async () => (await countsOf(name))?.running === 0)
      const { accepted = 0, succeeded: done = 0 } = (await countsOf(name)) ?? {}
      expect([name, done]).toEqual([name, accepted])
    }
  })

  it('goes on with its subscriptions and its schedules, and signs with the secret that it had', async () => {
    const { events, signingSecret, fired } = content
    await resume('subscription:paid')
    const requests = await service.waitFor('/internal/paid', events.length)
    expect(requests.map(({ headers }) => headers['webhook-id'])).toHaveLength(events.length)
    const webhook = new Webhook(signingSecret)
    for (const { body, headers } of requests) webhook.verify(body, headers as Record<string, string>)

    await call('POST', '/schedules/shop/often/resume', { who: 'test' }, 'scheduler')
    await service.waitFor('/internal/often', 2)
    const path = '/schedules/shop/often/ledger?limit=1000'
    const { entries } = await call<{ entries: { at: string; state: string }[] }>('GET', path, undefined, 'scheduler')
    const times = entries.map(({ at }) => at)
    expect(times).toEqual(expect.arrayContaining([...fired]))
    expect(new Set(times).size).toBe(times.length)
  })

  it('has its trail, which verifies and grows, and what was erased stays so', async () => {
    const { records, erased } = content
    const verdict = await call<{ valid: boolean; records: number }>('GET', '/v1/verify', undefined, 'audit')
    expect(verdict).toMatchObject({ valid: true })
    expect(verdict.records).toBeGreaterThanOrEqual(records)
    const path = `/v1/events?namespace=shop&entityId=${erased}`
    const { data } = await call<{ data: { events: { data: unknown }[] } }>('GET', path, undefined, 'audit')
    expect(data.events.length).toBeGreaterThanOrEqual(2)
    expect(JSON.stringify(data.events)).not.toContain('ada@example.org')
  })
})
