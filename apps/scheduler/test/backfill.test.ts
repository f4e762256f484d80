import type { Backfill, LedgerEntry, Problem } from '@millrace/contracts'
import { eventually } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import { eventsOf, nextOf, pathOf, startSchedulerProcess } from './fixture.ts'
import { useRig } from './rig.ts'

const rig = useRig({ env: { MILLRACE_ENV: 'production' } })
const { planned } = rig

const MINUTE = 60_000
const yearly = { name: 's', cron: '0 0 1 1 *' }

const post = <Body = Problem>(path: string, body: unknown = {}) =>
  rig.client.call<Body>('POST', `/schedules/${path}`, { body })
const ledger = async (namespace: string, query = '') => {
  const path = `/schedules/${namespace}/s/ledger${query}`
  return (await rig.client.call<{ entries: LedgerEntry[]; cursor?: string }>('GET', path)).body
}
describe('a backfill', () => {
  const HOUR = 60 * MINUTE
  const to = Math.floor(Date.now() / HOUR) * HOUR
  const range = { from: new Date(to - 11 * HOUR).toISOString(), to: new Date(to).toISOString() }
  const hourly = { name: 's', cron: '0 * * * *' }
  const path = (namespace: string, id: string) => `/schedules/${namespace}/s/backfills/${id}`

  it('fires the times of a range that have not fired, once, whoever asks again', async () => {
    await planned('filled', hourly)
    const request = { ...range, ratePerSecond: 100, backfillId: 'b1', who: 'ada', why: 'the store was down' }
    const begun = await post<Backfill>('filled/s/backfills', request)
    expect(begun).toMatchObject({ status: 202, body: { id: 'b1', state: 'running', fired: 0 } })
    const ended = await eventually(async () => {
      const { body } = await rig.client.call<Backfill>('GET', path('filled', 'b1'))
      return body.state === 'finished' ? body : undefined
    })
    expect(ended).toMatchObject({ fired: 12, passed: 0 })
    expect((await post('filled/s/backfills', request)).status).toBe(200)
    expect(await post('filled/s/backfills', { ...request, ratePerSecond: 5 })).toMatchObject({
      status: 409,
      body: { code: 'backfill.conflict' },
    })
    await planned('other', hourly)
    expect(await post('other/s/backfills', request)).toMatchObject({
      status: 409,
      body: { code: 'backfill.conflict' },
    })
    await rig.receiver.waitFor(pathOf('filled', 's'), 12)
    const second = await post<Backfill>('filled/s/backfills', { ...range, ratePerSecond: 100 })
    await eventually(async () => {
      const { body } = await rig.client.call<Backfill>('GET', path('filled', second.body.id))
      return body.state === 'finished' && body.fired === 0 && body.passed === 12
    })
    const rows = (await ledger('filled')).entries.filter(({ kind }) => kind === 'backfill')
    expect(rows).toHaveLength(12)
    expect(rows[0]).toMatchObject({ state: 'late', who: 'ada', why: 'the store was down' })
  })

  it('goes on in another scheduler when the one that advanced it is killed, and fires nothing twice', async () => {
    await planned('resumed', hourly)
    await rig.stopSchedulers()
    const doomed = await startSchedulerProcess(rig.redis.url)
    await eventually(async () => (await doomed.client.call('GET', '/readyz')).status === 200)
    const body = { ...range, ratePerSecond: 4, backfillId: 'b2' }
    expect((await doomed.client.call('POST', '/schedules/resumed/s/backfills', { body })).status).toBe(202)
    const fired = async () => (await eventsOf(rig.partition, 'schedule.backfilled', 'resumed')).length
    await eventually(async () => (await fired()) >= 3)
    await doomed.process.kill()
    await rig.startSchedulers()
    await eventually(
      async () => (await rig.client.call<Backfill>('GET', path('resumed', 'b2'))).body.state === 'finished',
      { timeoutMs: 60_000 },
    )
    const ticks = (await eventsOf(rig.partition, 'schedule.backfilled', 'resumed')).map(
      ({ data }) => (JSON.parse(data) as { tickId: string }).tickId,
    )
    expect(new Set(ticks).size).toBe(12)
    expect(ticks).toHaveLength(12)
  }, 90_000)

  it('can be stopped, and refuses what makes no sense', async () => {
    await planned('stopped', hourly)
    await post('stopped/s/backfills', { ...range, ratePerSecond: 0.01, backfillId: 'b3' })
    const stopped = await post<Backfill>('stopped/s/backfills/b3/stop', { who: 'ada', why: 'enough' })
    expect(stopped.body).toMatchObject({ state: 'stopped', stopped: { who: 'ada', why: 'enough' } })
    const list = await rig.client.call<{ backfills: Backfill[] }>('GET', '/schedules/stopped/s/backfills')
    expect(list.body.backfills).toMatchObject([{ id: 'b3', state: 'stopped' }])
    expect(await rig.client.call('GET', path('stopped', 'no'))).toMatchObject({
      status: 404,
      body: { code: 'backfill.unknown' },
    })
    const future = { from: range.from, to: new Date(Date.now() + HOUR).toISOString() }
    expect(await post('stopped/s/backfills', future)).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/to' }] },
    })
    expect(await post('stopped/s/backfills', { from: range.to, to: range.from })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/to', detail: 'must not be before from' }] },
    })
  })
})

describe('another time-zone database', () => {
  it('moves a planned tick visibly', async () => {
    const address = await planned('moved', yearly)
    const { redis: store, keys } = rig.partition
    const plan = JSON.parse((await store.hget(keys.schedules, address)) ?? '')
    const old = { ...plan, nominalMs: plan.nominalMs + 3_600_000, fireMs: plan.fireMs + 3_600_000, tz: '2001a' }
    await store.hset(keys.schedules, address, JSON.stringify(old))
    const [event] = await eventually(
      async () => {
        const events = await eventsOf(rig.partition, 'schedule.moved', 'moved')
        return events.length > 0 ? events : undefined
      },
      { timeoutMs: 15_000 },
    )
    const told = { fromMs: old.nominalMs, toMs: plan.nominalMs, fromTz: '2001a', toTz: process.versions.tz }
    expect(JSON.parse(event?.data ?? '')).toEqual(told)
    expect(await nextOf(rig.partition, address)).toBe(plan.nominalMs)
  })
})
