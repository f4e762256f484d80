import type { LedgerEntry, Problem } from '@millrace/contracts'
import { eventually } from '@millrace/testkit'
import { describe, expect, it } from 'vitest'
import { countOf, declare, eventsOf, ledgerOf, makeDue, metricOf, nextOf, pathOf } from './fixture.ts'
import { useRig } from './rig.ts'

const rig = useRig({ env: { MILLRACE_ENV: 'production' } })
const { planned } = rig

const MINUTE = 60_000
const yearly = { name: 's', cron: '0 0 1 1 *' }
const minutely = { name: 's', cron: '* * * * *' }

const post = <Body = Problem>(path: string, body: unknown = {}) =>
  rig.client.call<Body>('POST', `/schedules/${path}`, { body })
const ledger = async (namespace: string, query = '') => {
  const path = `/schedules/${namespace}/s/ledger${query}`
  return (await rig.client.call<{ entries: LedgerEntry[]; cursor?: string }>('GET', path)).body
}
const dueAgo = async (address: string, agoMs: number) => {
  const nominal = Date.now() - agoMs
  await makeDue(rig.partition, address, nominal)
  return new Date(nominal).toISOString()
}

describe('the ledger', () => {
  it('says what became of each nominal time, its delivery and its gas', async () => {
    const address = await planned('told', yearly)
    const at = await dueAgo(address, 100)
    const entry = await eventually(async () => {
      const [first] = (await ledger('told')).entries
      return first?.outcome ? first : undefined
    })
    expect(entry).toEqual({
      ...{
        at,
        kind: 'planned',
        state: expect.stringMatching(/^(fired|late)$/),
        lateMs: expect.any(Number),
        tickId: `told/s@${at}`,
      },
      ...{ jobId: expect.stringMatching(/^job_/), firedAt: expect.any(String), outcome: 'succeeded' },
      ...{ endedAt: expect.any(String), gas: 2, tzdata: process.versions.tz },
    })
    const [gas] = await eventsOf(rig.partition, 'gas.charged', 'told')
    expect(JSON.parse(gas?.data ?? '')).toEqual({ tickId: `told/s@${at}`, jobId: entry.jobId, tokens: 2 })
    const gauge = 'millrace_schedule_last_success_timestamp_seconds'
    await eventually(async () => ((await metricOf(rig.client, gauge, { namespace: 'told' })) ?? 0) > 1_700_000_000, {
      timeoutMs: 15_000,
    })
  })

  it('is given out by pages and by state', async () => {
    const address = await planned('paged', { ...minutely, catchUp: { take: 'none' } })
    const latest = Math.floor(Date.now() / MINUTE) * MINUTE - 5 * MINUTE
    await makeDue(rig.partition, address, latest - 20 * MINUTE)
    await eventually(async () => (await ledgerOf(rig.partition, address)).length >= 25)
    const skipped = await ledger('paged', '?state=skipped&limit=1000')
    const missed = await ledger('paged', '?state=missed&reason=take&limit=1000')
    expect(skipped.entries.length).toBeGreaterThanOrEqual(14)
    expect(missed.entries.length).toBeGreaterThanOrEqual(9)
    expect(new Set(skipped.entries.map(({ reason }) => reason))).toEqual(new Set(['window']))
    const paged: LedgerEntry[] = []
    let cursor: string | undefined = ''
    while (cursor !== undefined) {
      const page = await ledger('paged', `?state=skipped&limit=4${cursor && `&cursor=${cursor}`}`)
      paged.push(...page.entries)
      cursor = page.cursor
    }
    expect(paged.map(({ at }) => at)).toEqual(skipped.entries.map(({ at }) => at))
    const refused = await rig.client.call('GET', '/schedules/paged/s/ledger?state=gone')
    expect(refused).toMatchObject({ status: 422, body: { errors: [{ pointer: '/state' }] } })
    const cursorless = await rig.client.call('GET', '/schedules/paged/s/ledger?cursor=x')
    expect(cursorless).toMatchObject({ status: 422, body: { errors: [{ pointer: '/cursor' }] } })
  })

  it('has all that was due of a rule that was edited, or taken out, while no scheduler ran', async () => {
    const address = await planned('edited', minutely)
    await rig.stopSchedulers()
    const first = Math.floor(Date.now() / MINUTE) * MINUTE - 20 * MINUTE
    await makeDue(rig.partition, address, first)
    await declare(rig.redis, 'edited', [{ ...minutely, cron: '0 * * * *' }], rig.receiver.url)
    await rig.startSchedulers()
    const edited = await eventually(async () => (await ledger('edited', '?reason=changed')).entries[0])
    expect(edited).toMatchObject({ at: new Date(first).toISOString(), state: 'missed' })
    expect(edited.count).toBeGreaterThanOrEqual(21)
    expect(Date.parse(edited.until ?? '')).toBe(first + ((edited.count ?? 0) - 1) * MINUTE)
    const counted = { namespace: 'edited', result: 'missed' }
    expect(await countOf(rig.client, 'millrace_schedule_ticks_total', counted)).toBe(edited.count)

    await rig.stopSchedulers()
    const hour = Math.floor(Date.now() / (60 * MINUTE)) * 60 * MINUTE - 120 * MINUTE
    await makeDue(rig.partition, address, hour)
    await declare(rig.redis, 'edited', [], rig.receiver.url)
    await rig.startSchedulers()
    const rows = await eventually(async () => {
      const { entries } = await ledger('edited', '?reason=changed')
      return entries.length === 2 ? entries : undefined
    })
    const removed = rows.find(({ at }) => at === new Date(hour).toISOString())
    expect(removed?.count).toBeGreaterThanOrEqual(3)
    expect((await rig.client.call<{ schedules: { namespace: string }[] }>('GET', '/schedules')).body.schedules).toEqual(
      expect.not.arrayContaining([expect.objectContaining({ namespace: 'edited' })]),
    )
  })

  it('says of a gap which wall-clock times it left out', async () => {
    const address = await planned('gaps', { name: 's', cron: '30 2 * * *', timezone: 'America/New_York', dst: 'go' })
    const { redis: store, keys } = rig.partition
    const nominalMs = Date.parse('2026-03-09T06:30:00Z')
    const plan = JSON.parse((await store.hget(keys.schedules, address)) ?? '')
    const moved = { ...plan, nominalMs, fireMs: nominalMs, afterMs: Date.parse('2026-03-07T07:30:00Z') }
    await store.multi().hset(keys.schedules, address, JSON.stringify(moved)).zadd(keys.ticks, nominalMs, address).exec()
    const gap = await eventually(async () => (await ledger('gaps', '?reason=gap')).entries[0])
    expect(gap).toMatchObject({
      at: '2026-03-08T07:00:00.000Z',
      state: 'skipped',
      fromLocal: '2026-03-08T02:30',
      count: 1,
    })
  })
})

describe('catch-up', () => {
  it.each([
    ['all', { take: 'all', window: '10m', max: 3 }, 3],
    ['none', { take: 'none' }, 0],
    ['latest', undefined, 1],
  ] as const)('%s does what it says after an outage', async (name, catchUp, fires) => {
    const namespace = `catch-${name}`
    const address = await planned(namespace, { ...yearly, ...(catchUp && { catchUp }) })
    // A rule of its own times: every minute, of which the last five are due, the newest of them 30 s ago.
    const cron = '@every 1m'
    const startAt = new Date(Date.now() - 30_000 - 4 * MINUTE).toISOString()
    await declare(rig.redis, namespace, [{ name: 's', cron, startAt, ...(catchUp && { catchUp }) }], rig.receiver.url)
    await eventually(async () => (await nextOf(rig.partition, address)) < Date.now() + MINUTE)
    await makeDue(rig.partition, address, Date.parse(startAt))
    const rows = await eventually(async () => {
      const all = await ledgerOf(rig.partition, address)
      return all.length >= 5 ? all.slice(0, 5) : undefined
    })
    expect(rows.filter(({ state }) => state === 'late')).toHaveLength(fires)
    expect(rows.filter(({ state }) => state === 'missed')).toHaveLength(5 - fires)
  })
})

describe('a single time', () => {
  it('that has passed a moment ago fires once, and never again', async () => {
    const at = new Date(Date.now() - 5000).toISOString()
    await declare(rig.redis, 'single', [{ name: 's', at, payload: { orderId: 7 } }], rig.receiver.url)
    const [request] = await rig.receiver.waitFor(pathOf('single', 's'), 1)
    expect(request?.json()).toMatchObject({ scheduledAt: at, payload: { orderId: 7 }, cron: `@at ${at}`, attempt: 1 })
    const list = '/schedules?namespace=single'
    const view = await rig.client.call<{ schedules: { namespace: string; reading: string }[] }>('GET', list)
    const [single, ...more] = view.body.schedules
    expect(more, 'of other namespaces').toEqual([])
    expect(single).toMatchObject({ reading: `once, at ${at}` })
    expect(single).not.toHaveProperty('nextAt')
    expect(await ledgerOf(rig.partition, 'single/schedule:s')).toHaveLength(1)
  })
})

describe('a paused schedule', () => {
  it('skips its times, keeps its pause over a new manifest, runs by hand, and goes on when it is resumed', async () => {
    const address = await planned('paused', yearly)
    const paused = await post<{ result: string }>('paused/s/pause', { who: 'ada', why: 'upstream is down' })
    expect(paused).toMatchObject({ status: 200, body: { result: 'paused', paused: { who: 'ada' } } })
    expect((await post('paused/s/pause')).body).toEqual({ result: 'unchanged' })
    await declare(rig.redis, 'paused', [{ ...yearly, timeoutMs: 99, description: 'edited' }], rig.receiver.url)
    await dueAgo(address, 10)
    await eventually(async () => (await ledger('paused', '?state=skipped')).entries[0]?.reason === 'paused')
    const { body } = await rig.client.call<{ schedules: Record<string, unknown>[] }>('GET', '/schedules')
    expect(body.schedules.find(({ namespace }) => namespace === 'paused')?.paused).toMatchObject({
      who: 'ada',
      why: 'upstream is down',
    })
    expect((await post('paused/s/trigger')).status).toBe(202)
    await rig.receiver.waitFor(pathOf('paused', 's'), 1)
    expect((await post('paused/s/resume', { who: 'ada' })).body).toMatchObject({ result: 'resumed' })
    await dueAgo(address, 10)
    await rig.receiver.waitFor(pathOf('paused', 's'), 2)
    const [event] = await eventsOf(rig.partition, 'schedule.paused', 'paused')
    expect(JSON.parse(event?.data ?? '')).toMatchObject({ who: 'ada', why: 'upstream is down' })
  })

  it('by its manifest is resumed there', async () => {
    const address = await planned('declared', { ...yearly, paused: true })
    await dueAgo(address, 10)
    await eventually(async () => (await ledger('declared')).entries[0]?.reason === 'paused')
    expect(await post('declared/s/resume')).toMatchObject({ status: 409, body: { code: 'schedule.declared_paused' } })
  })
})

describe('overlap', () => {
  it('skip leaves a tick out while the last run is under way', async () => {
    const address = await planned('skipping', { ...yearly, overlap: 'skip' })
    const path = pathOf('skipping', 's')
    rig.receiver.script(path, { delayMs: 3000 })
    await dueAgo(address, 20)
    await rig.receiver.waitFor(path, 1)
    await dueAgo(address, 10)
    await eventually(async () => (await ledger('skipping', '?state=skipped')).entries[0]?.reason === 'overlap')
    await eventually(async () => (await ledger('skipping')).entries.some(({ outcome }) => outcome === 'succeeded'))
    await dueAgo(address, 10)
    await rig.receiver.waitFor(path, 2)
  })

  it('cancel ends the run that is under way and starts the next one', async () => {
    const address = await planned('cancelling', { ...yearly, overlap: 'cancel' })
    const path = pathOf('cancelling', 's')
    rig.receiver.script(path, { delayMs: 20_000 }, {})
    await dueAgo(address, 20)
    await rig.receiver.waitFor(path, 1)
    await dueAgo(address, 10)
    await rig.receiver.waitFor(path, 2)
    const outcomes = async () => (await ledger('cancelling')).entries.map(({ outcome }) => outcome)
    await eventually(async () => (await outcomes()).join() === 'succeeded,cancelled')
  })
})

describe('run now', () => {
  it('with an idempotency key is one run, in the body or as a header', async () => {
    await planned('keyed', yearly)
    const first = await post<{ id: string; tickId: string }>('keyed/s/trigger', { idempotencyKey: 'k' })
    const second = await post<{ id: string; tickId: string }>('keyed/s/trigger', { idempotencyKey: 'k' })
    const third = await rig.client.call('POST', '/schedules/keyed/s/trigger', {
      body: {},
      headers: { 'idempotency-key': 'k' },
    })
    expect([first.status, second.status, third.status]).toEqual([202, 200, 200])
    expect(second.body).toEqual(first.body)
    expect(third.body).toEqual(first.body)
    expect((await ledger('keyed')).entries).toMatchObject([{ kind: 'manual', who: 'ada' }])
  })
})

describe('preview', () => {
  it('shows times, words and presets, and refuses what no manifest may say', async () => {
    const asked = { cron: '30 2 * * *', timezone: 'America/New_York', from: '2026-03-07T12:00:00Z', count: 1 }
    const { status, body } = await post<Record<string, unknown>>('preview', asked)
    expect(status).toBe(200)
    expect(body).toMatchObject({
      description: 'at 02:30, America/New_York',
      times: [
        { at: '2026-03-08T07:00:00.000Z', local: '2026-03-08T03:00', offset: '-04:00', note: expect.any(String) },
      ],
      presets: { go: [{ at: '2026-03-09T06:30:00.000Z' }], shift: [{ local: '2026-03-08T03:30' }] },
    })
    expect(Object.keys(body)).toEqual(['times', 'description', 'presets'])
    expect(await post('preview', { cron: '61 * * * *', timezone: 'Mars/Base' })).toMatchObject({
      status: 422,
      body: { code: 'request.invalid', errors: [{ pointer: '/cron' }, { pointer: '/timezone' }] },
    })
    expect(await post('preview', { cron: '@daily', dst: 'never' })).toMatchObject({
      status: 422,
      body: { errors: [{ pointer: '/dst', detail: expect.stringContaining('vixie, cronos, go, aws, shift') }] },
    })
  })
})
