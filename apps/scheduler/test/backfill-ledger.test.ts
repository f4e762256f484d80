import type { Backfill, Problem } from '@millrace/contracts'
import { eventually } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import { type Client, eventsOf, schedulerOn } from './fixture.ts'
import { useRig } from './rig.ts'

const KEEP = 10
const rig = useRig({ env: { MILLRACE_LEDGER_KEEP: String(KEEP) } })

const HOUR_MS = 3_600_000
const toMs = Math.floor(Date.now() / HOUR_MS) * HOUR_MS - HOUR_MS
const at = (hoursBefore: number) => new Date(toMs - hoursBefore * HOUR_MS).toISOString()
const yearly = { name: 's', cron: '0 0 1 1 *' }
const hourly = { name: 's', cron: '0 * * * *' }

const ask = <Body = Problem>(namespace: string, body: object, client: Client = rig.client) =>
  client.call<Body>('POST', `/schedules/${namespace}/s/backfills`, {
    body: { who: 'ada', ratePerSecond: 100, ...body },
  })

async function run(namespace: string, body: object): Promise<Backfill> {
  const begun = await ask<Backfill>(namespace, body)
  expect(begun.status, JSON.stringify(begun.body)).toBe(202)
  return eventually(async () => {
    const path = `/schedules/${namespace}/s/backfills/${begun.body.id}`
    const { body: state } = await rig.client.call<Backfill>('GET', path)
    return state.state === 'finished' ? state : undefined
  })
}

async function ticksOf(namespace: string): Promise<string[]> {
  const events = await eventsOf(rig.partition, 'schedule.backfilled', namespace)
  return events.map(({ data }) => (JSON.parse(data) as { tickId: string }).tickId)
}

describe('a backfill of more times than the ledger keeps', () => {
  it('fires each once, and is refused when it is repeated, through whichever scheduler', async () => {
    await rig.planned('long', hourly)
    const range = { from: at(29), to: at(0) }
    expect(await run('long', { ...range, backfillId: 'first' })).toMatchObject({ fired: 30, passed: 0 })
    expect((await ask('long', { ...range, backfillId: 'first' })).status, 'the same is known').toBe(200)

    const refused = {
      status: 422,
      body: {
        code: 'request.invalid',
        errors: [{ pointer: '/from', detail: expect.stringMatching(/must be after 2.*keeps 10 rows.*again: true/) }],
      },
    }
    expect(await ask('long', range)).toMatchObject(refused)
    const another = await schedulerOn(rig.redis.url, {})
    try {
      const late = await ask('long', range, another.client)
      expect([late.status, late.body.errors?.[0]?.pointer], 'by one that keeps more').toEqual([422, '/from'])
    } finally {
      await another.scheduler.stop()
    }

    const detail = (await ask('long', range)).body.errors?.[0]?.detail ?? ''
    const until = /after (\S+):/.exec(detail)?.[1] ?? ''
    expect((await ask('long', { ...range, from: until })).status, 'from the last that is forgotten').toBe(422)
    const from = new Date(Date.parse(until) + 1).toISOString()
    const rest = await run('long', { ...range, from })
    expect([rest.fired, rest.passed > 0 && rest.passed <= KEEP]).toEqual([0, true])

    const ticks = await ticksOf('long')
    expect([ticks.length, new Set(ticks).size]).toEqual([30, 30])
  })

  it('may be asked for again on purpose, under other tick ids', async () => {
    await rig.planned('twice', hourly)
    const range = { from: at(19), to: at(0) }
    await run('twice', range)
    expect(await run('twice', { ...range, again: true })).toMatchObject({ fired: 20, passed: 0 })
    const ticks = await ticksOf('twice')
    expect([ticks.length, new Set(ticks).size]).toEqual([40, 40])
  })

  it('fires nothing whose row is older than all that a full ledger has', async () => {
    await rig.planned('full', hourly)
    await run('full', { from: at(14), to: at(0) })
    expect((await ask('full', { from: at(100), to: at(90) })).status).toBe(422)
    expect(await ticksOf('full')).toHaveLength(15)
  })
})

it('two backfills are not at work on the same times, and may be on others', async () => {
  await rig.planned('both', hourly)
  await rig.planned('neighbour', yearly)
  const slow = { ratePerSecond: 0.01 }
  const first = { from: at(8), to: at(4), backfillId: 'slow', ...slow }
  expect((await ask('both', first)).status).toBe(202)
  expect(await ask('both', { from: at(4), to: at(0) })).toMatchObject({
    status: 409,
    body: { code: 'backfill.running', detail: expect.stringContaining('"slow"') },
  })
  expect((await ask('both', { from: at(3), to: at(0), ...slow })).status).toBe(202)
  expect((await ask('both', { from: at(8), to: at(4), again: true, ...slow })).status).toBe(202)
  expect((await ask('neighbour', { from: at(8), to: at(0) })).status).toBe(202)
  await rig.client.call('POST', '/schedules/both/s/backfills/slow/stop', { body: { who: 'ada' } })
  expect((await ask('both', { from: at(8), to: at(4) })).status).toBe(202)
})
