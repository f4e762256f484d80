import type { ApplyResponse, Problem } from '@millrace/contracts'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

const who = 'ada'
/** Unlike the client of the other tests, this one says no more than it is told. */
const send = async <Body>(method: string, path: string, body: Record<string, unknown>) =>
  rig.client.call<Body>(method, path, { text: JSON.stringify(body), headers: { 'content-type': 'application/json' } })

async function expectAskedWhy(method: string, path: string, body: Record<string, unknown>, detail: RegExp) {
  const answer = await send<Problem>(method, path, body)
  expect([answer.status, answer.body.code]).toEqual([422, 'request.invalid'])
  expect(answer.body.errors).toEqual([{ pointer: '/why', detail: expect.stringMatching(detail) }])
}

describe('a manifest', () => {
  const path = '/services/reasoned'
  const body = (spec: Record<string, unknown>, why?: string) => ({
    ...{ manifest: { metadata: { name: 'reasoned' }, spec }, url: rig.receiver.url, who },
    ...(why !== undefined && { why }),
  })
  const apply = async (spec: Record<string, unknown>, why?: string) => {
    const answer = await send<ApplyResponse>('PUT', path, body(spec, why))
    expect(answer.status, JSON.stringify(answer.body)).toBe(200)
    return answer.body
  }
  const nightly = { name: 'nightly', cron: '0 2 * * *', endpoint: '/internal/nightly' }
  const paid = { name: 'paid', types: ['order.paid'], endpoint: '/internal/paid' }

  it('needs no reason the first time, again, and where it only adds or changes', async () => {
    expect(await apply({ schedules: [nightly] })).toMatchObject({ result: 'created' })
    expect(await apply({ schedules: [nightly] })).toMatchObject({ result: 'unchanged' })
    expect(await apply({ schedules: [nightly], subscriptions: [paid] })).toMatchObject({ result: 'changed' })
    const changed = { schedules: [{ ...nightly, cron: '0 3 * * *' }], subscriptions: [{ ...paid, types: ['order.*'] }] }
    expect(await apply(changed)).toMatchObject({ result: 'changed', version: 3 })
  })

  it('needs one where it takes out a subscription or a schedule, and changes nothing without', async () => {
    await apply({ schedules: [nightly], subscriptions: [paid] })
    await expectAskedWhy('PUT', path, body({ schedules: [nightly] }), /takes out subscription paid$/)
    await expectAskedWhy('PUT', path, body({}), /takes out schedule nightly, subscription paid$/)
    const kept = await rig.client.call<{ queues: { name: string }[] }>('GET', path)
    expect(kept.body.queues.map(({ name }) => name).toSorted()).toEqual(['nightly', 'paid'])
    expect(await apply({}, 'nobody needs them')).toMatchObject({ result: 'changed', schedules: [], subscriptions: [] })
    // What is closing already is taken out no second time.
    expect(await apply({ queues: [{ name: 'mail', endpoint: '/internal/mail' }] })).toMatchObject({ result: 'changed' })
  })
})

describe('a rotation', () => {
  const detail = /^must say why, .*graceSeconds 0/

  it('of a key needs a reason where the old one is refused at once', async () => {
    const made = await send<{ id: string; key: string }>('POST', '/keys', { name: 'k', grants: ['producer:shop'], who })
    const path = `/keys/${made.body.id}/rotate`
    await expectAskedWhy('POST', path, { graceSeconds: 0, who }, detail)
    expect((await send('POST', path, { who })).status).toBe(200)
    expect((await send('POST', path, { graceSeconds: 0, who, why: 'it was in a log' })).status).toBe(200)
  })

  it('of a signing secret the same', async () => {
    const path = `/services/${await rig.service([{ name: 'mail' }])}/secrets/rotate`
    expect((await send('POST', path, { who })).status).toBe(201)
    await expectAskedWhy('POST', path, { graceSeconds: 0, who }, detail)
    expect((await send('POST', path, { graceSeconds: 0, who, why: 'it leaked' })).status).toBe(201)
  })
})
