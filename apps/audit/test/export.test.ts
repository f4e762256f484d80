import { execFileSync } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createExportVerifier } from '@millrace/engine'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type AuditApp,
  DATABASES,
  type Events,
  emitBody,
  type Problem,
  type Rig,
  startRig,
  type Verdict,
} from './support.ts'

const STRANGER = fileURLToPath(new URL('../../../test/docs/stranger.mjs', import.meta.url))

describe.each(DATABASES)('with %s', (database) => {
  let rig: Rig
  let app: AuditApp
  beforeAll(async () => {
    rig = await startRig({ database })
    app = await rig.startAudit({ MILLRACE_AUDIT_SWEEP_MS: '500' })
    for (let n = 0; n < 6; n++) await emit(`order-${n % 2}`, { data: { n, customer: { id: `c-${n}` } } })
    await app.post('/v1/subjects/order-1/erase', { who: 'ada', why: 'a test' })
  })
  afterAll(() => rig.stop())

  const emit = async (entityId: string, over: Record<string, unknown> = {}) =>
    expect((await app.post('/v1/events/emit', emitBody({ entityId, ...over }))).status).toBe(201)
  const metrics = async () => (await fetch(`${app.url}/metrics`)).text()
  /** What we say of an export, and what somebody says who has only read the page. */
  const verdicts = async (query = '') => {
    const text = await (await fetch(`${app.url}/v1/export${query}`)).text()
    const verifier = createExportVerifier()
    for (const line of text.trimEnd().split('\n')) verifier.add(line)
    const file = join(rig.home, 'export.ndjson')
    writeFileSync(file, text)
    const [theirs] = execFileSync(process.execPath, [STRANGER, file], { encoding: 'utf8' }).split('\n')
    return [verifier.finish().verdict, theirs]
  }

  describe('the list of events', () => {
    const find = async (query: string) => (await app.get<Events>(`/v1/events?namespace=found&${query}`)).body.data
    const count = async (query: string) =>
      (await app.get<{ data: unknown }>(`/v1/events/count?namespace=found&${query}`)).body.data
    const entities = async (query: string) => (await find(query)).events.map(({ entityId }) => entityId)

    it('searches types by pattern, a member of the payload, and words anywhere in it', async () => {
      const found = (entityId: string, eventType: string, data: string) =>
        app.post(
          '/v1/events/emit',
          JSON.stringify(emitBody({ namespace: 'found', entityId, eventType, data: 0 })).replace(
            '"data":0',
            `"data":${data}`,
          ),
        )
      await found('a', 'policy.created', '{"customer":{"id":"c-7","name":"Zo\\u00eb Smith"},"items":[{"sku":"X1"}]}')
      await found('b', 'claim.created', '{"customer":{"id":"c-77"},"big":9007199254740993}')
      await found('c', 'claim.closed', '{"note":"Smith called ZOË, 100%"}')
      expect(await entities('eventType=*.created')).toEqual(['a', 'b'])
      expect(await entities('eventType=claim.*')).toEqual(['b', 'c'])
      expect(await entities('eventType=c*d')).toEqual(['b', 'c'])
      expect(await entities('field=customer.id&equals=c-7')).toEqual(['a'])
      expect(await entities('field=items.0.sku&equals=X1')).toEqual(['a'])
      expect(await entities('field=big&equals=9007199254740993')).toEqual(['b'])
      expect(await entities('field=big&equals=9007199254740992')).toEqual([])
      expect(await entities('text=zo%C3%AB%20smith')).toEqual(['a', 'c'])
      expect(await entities('text=100%25&eventType=*.closed')).toEqual(['c'])
      expect(await count('text=smith')).toEqual({ count: 2, lookedAt: 3, complete: true })
      expect(await count('eventType=claim.*')).toEqual({ count: 2, lookedAt: 2, complete: true })
      const refused = await app.get<Problem>('/v1/events?field=a')
      expect([refused.status, refused.body.errors?.[0]?.pointer]).toEqual([422, '/field'])
    })

    it('pages through what it searched for, each event once', async () => {
      const seen: string[] = []
      let cursor: string | undefined
      do {
        const page = await find(`text=smith&limit=1${cursor ? `&cursor=${cursor}` : ''}`)
        seen.push(...page.events.map(({ entityId }) => entityId))
        cursor = page.cursor
      } while (cursor)
      expect(seen).toEqual(['a', 'c'])
    })
  })

  describe('an export', () => {
    it.each(['', '?namespace=shop', '?namespace=shop&entityId=order-0', '?who=ann@example.com'])(
      'verifies with nothing but the file, by us and by who has only read the page: %s',
      async (query) => {
        expect(await verdicts(query)).toEqual(['intact', 'intact'])
      },
    )

    it('is CSV for people, in which no cell is a formula', async () => {
      await emit('order-2', { data: { name: 'x, "y"' }, metadata: { who: '=1+1' } })
      const answer = await fetch(`${app.url}/v1/export?format=csv&entityId=order-2`)
      expect(answer.headers.get('content-disposition')).toMatch(/^attachment; filename="audit-.*\.csv"$/)
      const [names, row, ...rest] = (await answer.text()).split('\r\n')
      expect(names).toMatch(/^eventId,when,namespace,entityId,eventType,who,why,/)
      expect(row).toContain(",'=1+1,")
      expect(row).toContain('"{""name"":""x, \\""y\\""""}"')
      expect(rest).toEqual([''])
    })
  })

  describe('what somebody changes with SQL', () => {
    const WHERE = "namespace = 'shop' AND entity_id = 'order-0' AND chain_index = ?"

    it('is found by the sweep without anybody asking, in a metric and in the log', async () => {
      await eventually(async () => /^millrace_audit_swept_timestamp_seconds\S* 1\.?\d+/m.test(await metrics()))
      expect(await metrics()).toMatch(/^millrace_audit_broken\{.*what="tampered".*\} 0$/m)
      await rig.sql(`UPDATE records SET who = 'eve' WHERE ${WHERE}`, 0)
      await eventually(async () => /^millrace_audit_broken\{.*what="tampered".*\} 1$/m.test(await metrics()), {
        timeoutMs: 40_000,
      })
      expect(await app.process.waitForLine(/trail\.broken/)).toContain('"level":"copy"')
      await rig.sql(`UPDATE records SET who = 'ann@example.com' WHERE ${WHERE}`, 0)
    })

    it('is found in an export, whatever it is, with nothing but the file', async () => {
      const [row] = await rig.sql(`SELECT * FROM records WHERE ${WHERE}`, 1)
      await rig.sql(`UPDATE records SET data = '{}' WHERE ${WHERE}`, 1)
      expect(await verdicts()).toEqual(['tampered', 'tampered'])
      await rig.sql(`UPDATE records SET data = ? WHERE ${WHERE}`, row?.data as string, 1)
      expect(await verdicts()).toEqual(['intact', 'intact'])
      const move = (from: number, to: number) => rig.sql(`UPDATE records SET chain_index = ? WHERE ${WHERE}`, to, from)
      const swap = async () => {
        await move(0, -1)
        await move(1, 0)
        await move(-1, 1)
      }
      await swap()
      expect(await verdicts()).toEqual(['tampered', 'tampered'])
      await swap()
      await rig.sql(`DELETE FROM records WHERE ${WHERE}`, 2)
      expect(await verdicts()).toEqual(['tampered', 'tampered'])
      await rig.sql("DELETE FROM records WHERE entity_id = 'order-0'")
      expect(await verdicts()).toEqual(['tampered', 'tampered'])
      await rig.sql("DELETE FROM heads WHERE entity_id = 'order-0'")
      expect(await verdicts()).toEqual(['tampered', 'tampered'])
      const gone = await app.get<Verdict>('/v1/events/order-0/verify?namespace=shop')
      expect(gone.body.data).toMatchObject({ verdict: 'unverifiable', valid: false, level: 'trail' })
    })
  })
})
