import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AuditApp, type Chain, DATABASES, type Emitted, emitBody, type Rig, startRig } from './support.ts'

const EMITTERS = 64
const EVENTS_EACH = 6

describe.each(DATABASES)('with %s', (database) => {
  let rig: Rig
  let apps: AuditApp[]
  beforeAll(async () => {
    rig = await startRig({ appendonly: true, appendfsync: 'always', database })
    apps = await Promise.all([rig.startAudit(), rig.startAudit(), rig.startAudit()])
  }, 120_000)
  afterAll(() => rig.stop())

  it('64 emitters of one entity and three processes, two of them killed, make one chain without a fork', {
    timeout: 180_000,
  }, async () => {
    let answered = 0
    const eventIds = new Map<string, string>()
    /** Sends under one key until it is answered, wherever somebody answers. */
    const emitSurely = async (emitter: number, n: number) => {
      const key = `${emitter}-${n}`
      const body = emitBody({ entityId: 'busy', data: { emitter, n }, idempotencyKey: key })
      let attempt = emitter
      const send = async () => {
        const app = apps[attempt++ % apps.length]
        const answer = await app?.post<Emitted>('/v1/events/emit', body).catch(() => undefined)
        return answer?.body.success ? answer.body.data.eventId : undefined
      }
      eventIds.set(key, await eventually(send, { intervalMs: 5, timeoutMs: 120_000 }))
      answered++
    }
    const emitters = Array.from({ length: EMITTERS }, async (_, emitter) => {
      for (let n = 0; n < EVENTS_EACH; n++) await emitSurely(emitter, n)
    })
    const total = EMITTERS * EVENTS_EACH
    // Whoever has the lease is killed in the middle of its work, then whoever took over.
    for (const share of [0.2, 0.6]) {
      await eventually(async () => answered > total * share, { intervalMs: 1, timeoutMs: 90_000 })
      const inCharge = await eventually(() => recorderOf(apps), { intervalMs: 5, timeoutMs: 60_000 })
      await inCharge.process.kill()
      apps = apps.filter((app) => app !== inCharge)
    }
    await Promise.all(emitters)

    const last = apps[0] as AuditApp
    const chain = await eventually(
      async () => {
        const { body } = await last.get<Chain>('/v1/events/busy/chain?namespace=shop')
        return body.data.totalEvents === total ? body.data : undefined
      },
      { timeoutMs: 60_000 },
    )
    expect(chain).toMatchObject({ verdict: 'intact', totalEvents: total })
    expect(chain.chain.map(({ chainIndex }) => chainIndex)).toEqual(Array.from({ length: total }, (_, n) => n))
    // Each answer named an event that is there, and each key is one event.
    expect(new Set(chain.chain.map(({ eventId }) => eventId))).toEqual(new Set(eventIds.values()))
    const places = await rig.sql(
      "SELECT COUNT(*) AS n, COUNT(DISTINCT chain_index) AS indexes FROM records WHERE entity_id = 'busy'",
    )
    expect(places.map(({ n, indexes }) => [Number(n), Number(indexes)])).toEqual([[total, total]])
    expect((await last.get<{ verdict: string }>('/v1/verify')).body.verdict).toBe('intact')
  })
})

async function recorderOf(apps: readonly AuditApp[]): Promise<AuditApp | undefined> {
  for (const app of apps) {
    const text = await (await fetch(`${app.url}/metrics`)).text()
    if (/^millrace_audit_recorder\{.*partition="p0".*\} 1$/m.test(text)) return app
  }
  return undefined
}
