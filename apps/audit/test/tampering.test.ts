import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import {
  type AuditApp,
  type Chain,
  DATABASES,
  type Emitted,
  type Everything,
  emitBody,
  type Rig,
  startRig,
  type Verdict,
} from './support.ts'

let rig: Rig
let app: AuditApp
let entityId: string

const LENGTH = 5
const ROW = 'namespace = ? AND entity_id = ? AND chain_index = ?'

describe.each(DATABASES)('with %s', (database) => {
  beforeAll(async () => {
    rig = await startRig({ database })
    app = await rig.startAudit()
  })
  afterAll(() => rig.stop())

  // An entity and a store of its own would cost a process for each test; an entity is enough for the chain, and what is
  // asked of the whole store comes last.
  beforeEach(async ({ task }) => {
    entityId = task.name
    for (let step = 0; step < LENGTH; step++) {
      expect((await app.post<Emitted>('/v1/events/emit', emitBody({ entityId, data: { step } }))).status).toBe(201)
    }
    expect(await verdict()).toMatchObject({ valid: true, totalEvents: LENGTH })
  })

  const verdict = async () =>
    (await app.get<Verdict>(`/v1/events/${encodeURIComponent(entityId)}/verify?namespace=shop`)).body.data
  const at = (index: number) => ['shop', entityId, index] as const

  describe('verify finds', () => {
    it('changed data', async () => {
      await rig.sql(`UPDATE records SET data = '{"step":99}' WHERE ${ROW}`, ...at(2))
      expect(await verdict()).toMatchObject({ valid: false, totalEvents: 5, brokenAt: 2 })
    })

    it('erased data', async () => {
      await rig.sql(`UPDATE records SET data = NULL, salt = NULL WHERE ${ROW}`, ...at(2))
      expect(await verdict()).toMatchObject({ valid: false, brokenAt: 2 })
    })

    it('a changed record', async () => {
      await rig.sql(`UPDATE records SET record = replace(record, 'ann@', 'bob@') WHERE ${ROW}`, ...at(3))
      expect(await verdict()).toMatchObject({ valid: false, brokenAt: 3 })
    })

    it('a changed column that is only searched by', async () => {
      await rig.sql(`UPDATE records SET who = 'nobody' WHERE ${ROW}`, ...at(1))
      expect(await verdict()).toMatchObject({ valid: false, brokenAt: 1, reason: expect.stringContaining('who') })
    })

    it('a deleted record', async () => {
      await rig.sql(`DELETE FROM records WHERE ${ROW}`, ...at(1))
      expect(await verdict()).toMatchObject({ valid: false, totalEvents: 4, brokenAt: 1 })
    })

    it('a deleted tail', async () => {
      await rig.sql(`DELETE FROM records WHERE ${ROW}`, ...at(4))
      expect(await verdict()).toMatchObject({ valid: false, totalEvents: 4, brokenAt: 4 })
      const { body } = await app.get<Chain>(`/v1/events/${encodeURIComponent(entityId)}/chain?namespace=shop`)
      expect(body.data).toMatchObject({ valid: false, totalEvents: 4, brokenAt: 4 })
      expect(body.data.chain).toHaveLength(4)
    })

    it('all records deleted', async () => {
      await rig.sql('DELETE FROM records WHERE namespace = ? AND entity_id = ?', 'shop', entityId)
      expect(await verdict()).toMatchObject({ valid: false, totalEvents: 0, brokenAt: 0 })
    })

    it('an inserted record', async () => {
      await rig.sql(
        `INSERT INTO records SELECT 'evt_forged', partition, 1000000, namespace, entity_id, 5, kind, event_type, who, when_ms,
         record, event_hash, salt, data, erased_by FROM records WHERE ${ROW}`,
        ...at(4),
      )
      expect(await verdict()).toMatchObject({ valid: false, totalEvents: 6, brokenAt: 5 })
      await rig.sql("DELETE FROM records WHERE event_id = 'evt_forged'")
    })

    it('two swapped records', async () => {
      const move = (from: number, to: number) =>
        rig.sql(`UPDATE records SET chain_index = ? WHERE ${ROW}`, to, 'shop', entityId, from)
      await move(1, -1)
      await move(3, 1)
      await move(-1, 3)
      expect(await verdict()).toMatchObject({ valid: false, totalEvents: 5, brokenAt: 1 })
    })

    it('a head that was made to fit a cut tail', async () => {
      await rig.sql(`DELETE FROM records WHERE ${ROW}`, ...at(4))
      await rig.sql('UPDATE heads SET length = 4 WHERE namespace = ? AND entity_id = ?', 'shop', entityId)
      expect(await verdict()).toMatchObject({ valid: false, brokenAt: 3 })
    })

    it('a chain that was removed together with its head, by the trail of the partition', async () => {
      const [first] = await rig.sql(`SELECT seq FROM records WHERE ${ROW}`, ...at(0))
      // What the tests before this one have broken would be found first.
      await rig.sql('DELETE FROM heads WHERE namespace = ? AND entity_id = ?', 'shop', entityId)
      await rig.sql('DELETE FROM records WHERE namespace = ? AND entity_id = ?', 'shop', entityId)
      const gone = await app.get<Verdict>('/v1/events/x/verify?namespace=shop')
      expect(gone.body.data, 'nobody is told that it was never recorded').toMatchObject({
        verdict: 'unverifiable',
        valid: false,
        level: 'trail',
      })
      const { body } = await app.get<Everything>('/v1/verify')
      expect(body.valid).toBe(false)
      expect(body.trails[0]?.brokenAt).toBeLessThanOrEqual(Number(first?.seq))
    })
  })

  it('counts each broken chain when everything is verified', async () => {
    const { body } = await app.get<Everything>('/v1/verify')
    const broken = await rig.sql('SELECT COUNT(*) AS n FROM heads')
    expect(body.chains).toBe(Number(broken[0]?.n))
    expect(body.broken.map((chain) => chain.entityId)).toEqual(
      expect.arrayContaining(['changed data', 'a deleted tail', 'all records deleted', 'two swapped records']),
    )
    expect(body.broken.map((chain) => chain.entityId)).not.toContain(
      'counts each broken chain when everything is verified',
    )
    expect(await (await fetch(`${app.url}/metrics`)).text()).toMatch(
      /millrace_audit_verify_total{result="tampered".*} [1-9]/,
    )
  })
})
