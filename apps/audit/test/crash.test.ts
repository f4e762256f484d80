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

  it('survives a killed Redis and takes up where it was', async () => {
    app = await rig.startAudit()
    await appendEvents(rig.partition, 50)
    await recorded(rig, 50)
    await rig.redis.kill()
    await eventually(async () => (await fetch(`${app.url}/readyz`)).status === 503, {
      what: '/readyz to say that Redis is away',
    })
    await rig.redis.restart()
    await eventually(async () => (await fetch(`${app.url}/readyz`)).ok, { what: '/readyz to be well again' })
    await appendEvents(rig.partition, 50)
    await recorded(rig, 100)
    expect(await everything()).toMatchObject({ records: 100, valid: true })
  })

  it('is killed in the middle of folding and leaves no gap and no double', { timeout: 240_000 }, async () => {
    await appendEvents(rig.partition, 12_000, 50)
    for (const upTo of [1000, 4000]) {
      app = await rig.startAudit()
      await eventually(async () => (await count()) >= upTo, {
        intervalMs: 2,
        timeoutMs: 40_000,
        what: `${upTo} records`,
      })
      await app.process.kill()
      expect(await count()).toBeLessThan(12_000)
    }
    app = await rig.startAudit()
    await recorded(rig, 12_000)
    expect(await everything()).toMatchObject({ chains: 50, records: 12_000, valid: true, broken: [] })
  })

  it('chains without a fork when two processes record, also when the one in charge is killed', {
    timeout: 240_000,
  }, async () => {
    app = await rig.startAudit()
    const other = await rig.startAudit()
    await appendEvents(rig.partition, 3000)
    await recorded(rig, 3000)
    const inCharge = /^millrace_audit_recorder{partition="p0".*} 1$/m.test(await metrics(app)) ? app : other
    const standby = inCharge === app ? other : app
    expect(await metrics(standby)).toMatch(/^millrace_audit_recorder{partition="p0".*} 0$/m)
    await appendEvents(rig.partition, 3000)
    await inCharge.process.kill()
    await appendEvents(rig.partition, 100)
    await recorded(rig, 6100)
    expect(await everything(standby)).toMatchObject({ chains: 7, records: 6100, valid: true })
  })
})

async function count(): Promise<number> {
  return Number((await rig.sql('SELECT COUNT(*) AS n FROM records'))[0]?.n)
}

async function metrics(from: AuditApp): Promise<string> {
  return (await fetch(`${from.url}/metrics`)).text()
}
