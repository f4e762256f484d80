import { readLogRange, registryPartition } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { type AuditApp, appendEvents, DATABASES, type Everything, type Rig, recorded, startRig } from './support.ts'

let rig: Rig
let app: AuditApp

describe.each(DATABASES)('with %s', (database) => {
  beforeEach(async () => {
    rig = await startRig({ appendonly: true, appendfsync: 'always', database })
  })
  afterEach(() => rig.stop())

  const everything = async (from = app) => (await from.get<Everything>('/v1/verify')).body

  it('makes one record of each event of the log, the registry included', async () => {
    await appendEvents(rig.partition, 2500)
    await appendEvents(registryPartition(rig.partition.redis), 3)
    app = await rig.startAudit()
    await appendEvents(rig.partition, 10)
    await recorded(rig, 2513)
    const logged = await readLogRange(rig.partition, { count: 10_000 })
    const positions = await rig.sql('SELECT record FROM records WHERE partition = 0 ORDER BY seq')
    expect(positions.map(({ record }) => JSON.parse(String(record)).position)).toEqual(
      logged.map((event) => event.position),
    )
    expect(await everything()).toMatchObject({ records: 2513, valid: true, broken: [] })
  })

  it('records what is no JSON and what is no event of ours, with NUL made visible, and goes on', async () => {
    app = await rig.startAudit()
    const { redis, keys } = rig.partition
    await redis.xadd(keys.log, '*', 'job', 'job.started', 'shop', 'q', 'job_x', '{"bro\0ken')
    await redis.xadd(keys.log, '*', 'nonsense', 'yes')
    await appendEvents(rig.partition, 1)
    await recorded(rig, 3)
    expect((await rig.sql('SELECT data FROM records ORDER BY seq'))[0]?.data).toBe('{"bro\ufffdken')
    expect(await everything()).toMatchObject({ records: 3, valid: true })
    const { text } = await app.get('/v1/events?namespace=shop&entityId=job_x')
    expect(JSON.parse(text).data.events[0].data).toBe('{"bro\ufffdken')
    expect(app.process.lines().filter((line) => line.includes('recorder.unreadable_event'))).toHaveLength(2)
  })

  it('makes its group again after somebody destroyed it, and misses nothing', async () => {
    app = await rig.startAudit()
    await appendEvents(rig.partition, 20)
    await recorded(rig, 20)
    await rig.partition.redis.xgroup('DESTROY', rig.partition.keys.log, 'audit')
    await appendEvents(rig.partition, 20)
    await recorded(rig, 40)
    // What is recorded is kept by the store; the group only marks it in Redis, and is made again a look later.
    await eventually(
      async () => ((await rig.partition.redis.xinfo('GROUPS', rig.partition.keys.log)) as unknown[][]).length === 1,
      { what: 'the group to be there again' },
    )
    expect(await everything()).toMatchObject({ records: 40, valid: true })
  })

  it('trims the log behind itself and never what it has not recorded', async () => {
    app = await rig.startAudit({ MILLRACE_LOG_KEEP: '100' })
    // A router is the other reader; without its group nothing is trimmed.
    await rig.partition.redis.xgroup('CREATE', rig.partition.keys.log, 'router', '0', 'MKSTREAM')
    await appendEvents(rig.partition, 3000)
    await recorded(rig, 3000)
    await rig.partition.redis.xgroup('SETID', rig.partition.keys.log, 'router', '$')
    await eventually(async () => (await rig.partition.redis.xlen(rig.partition.keys.log)) <= 300, {
      what: 'the log to be trimmed to its newest entries',
    })
    expect(await everything()).toMatchObject({ records: 3000, valid: true })
  })

  it('reports what it recorded, its lag and its turn as the recorder', async () => {
    app = await rig.startAudit()
    await appendEvents(rig.partition, 5)
    await recorded(rig, 5)
    await eventually(async () => /^millrace_audit_lag_entries{partition="p0".*} 0$/m.test(await metrics(app)))
    const text = await metrics(app)
    expect(text).toMatch(/^millrace_audit_records_total{kind="queue".*} 5$/m)
    expect(text).toMatch(/^millrace_audit_lag_seconds{partition="reg".*} 0$/m)
    expect(text).toMatch(/^millrace_audit_last_recorded_timestamp_seconds{.*} 1\d{9}/m)
    expect(text).toMatch(/^millrace_audit_fold_duration_seconds_count{.*} [1-9]/m)
  })

  it('lets the lease go when it is stopped, so that the next one records at once', async () => {
    app = await rig.startAudit()
    await appendEvents(rig.partition, 5)
    await recorded(rig, 5)
    expect(await app.process.stop()).toEqual({ code: 0, signal: null })
    expect(Number(await rig.partition.redis.hget('{p0}:lease:recorder', 'end'))).toBe(0)
  })

  it('refuses to start with a store that cannot be used, naming the variable', async () => {
    const place: Record<string, string> =
      database === 'SQLite' ? { MILLRACE_HOME: '/dev/null' } : { DATABASE_URL: 'postgres://nobody@localhost:1/x' }
    await expect(rig.startAudit(place)).rejects.toThrow(Object.keys(place)[0])
    await expect(rig.startAudit({ DATABASE_URL: 'mysql://localhost/x' })).rejects.toThrow(/DATABASE_URL: must be/)
  })
})

async function metrics(from: AuditApp): Promise<string> {
  return (await fetch(`${from.url}/metrics`)).text()
}
