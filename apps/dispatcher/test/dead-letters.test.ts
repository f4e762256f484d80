import type { DeadLetter, LetterGroup } from '@millrace/contracts'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { eventsOf, expectBalance, metricOf, pathOf, type QueueFields, type Rig, startRig, typesOf } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

interface Listed {
  readonly deadLetters: DeadLetter[]
  readonly lookedAt: number
  readonly cursor?: string
}
interface Grouped {
  readonly groups: LetterGroup[]
  readonly lookedAt: number
  readonly complete: boolean
}
const get = <Body>(path: string) => rig.client.call<Body>('GET', path)
const post = <Body = Record<string, unknown>>(path: string, body: unknown = {}) =>
  rig.client.call<Body>('POST', path, { body })
const list = async (namespace: string, query = '') =>
  (await get<Listed>(`/dead-letters?namespace=${namespace}${query}`)).body

/** Jobs that die at once, each with its answer, in the order of the answers. */
async function bury(answers: readonly { status: number; body: string; data?: unknown }[], queue: QueueFields) {
  const namespace = await rig.service([{ retries: 0, concurrency: 1, ...queue }])
  return { namespace, ids: await buryMore(namespace, answers, queue.name) }
}
async function buryMore(
  namespace: string,
  answers: readonly { status: number; body: string; data?: unknown }[],
  name: string,
) {
  rig.receiver.script(pathOf(namespace, name), ...answers.map(({ status, body }) => ({ status, body })))
  const before = (await rig.client.counts(namespace, name)).dead
  const ids: string[] = []
  for (const [index, { data }] of answers.entries()) {
    ids.push(await rig.client.enqueue(namespace, name, { data: data ?? { n: index } }))
    await rig.client.until(namespace, name, { dead: before + index + 1, running: 0 })
  }
  return ids
}

const ANSWERS = [
  { status: 500, body: '{"error":"user 1 not found"}', data: { name: 'Ada' } },
  { status: 489, body: 'never again' },
  { status: 500, body: '{"error":"user 22 not found"}', data: { name: 'Bob' } },
  { status: 503, body: 'try later' },
]

describe('GET /dead-letters', () => {
  it('finds letters by reason, status, text and time of death', async () => {
    const { namespace, ids } = await bury(ANSWERS, { name: 'mail' })
    const find = async (query: string) => (await list(namespace, query)).deadLetters.map(({ id }) => ids.indexOf(id))
    expect(await find('')).toEqual([0, 1, 2, 3])
    expect(await find('&reason=no_retry')).toEqual([1])
    expect(await find('&status=500')).toEqual([0, 2])
    expect(await find('&queue=mail&reason=http_status&status=503')).toEqual([3])
    expect(await find('&search=Bob'), 'in the payload').toEqual([2])
    expect(await find('&search=not%20found'), 'in the last response').toEqual([0, 2])
    expect(await find('&search=nothing')).toEqual([])
    const { deadLetters } = await list(namespace)
    const [, second, , last] = deadLetters.map(({ diedAt }) => diedAt)
    expect(await find(`&since=${second}`)).toEqual([1, 2, 3])
    expect(await find(`&until=${second}`)).toEqual([0])
    expect(await find(`&since=${second}&until=${last}`)).toEqual([1, 2])
    const { fingerprint } = deadLetters[0] as DeadLetter
    expect(await find(`&fingerprint=${fingerprint}`)).toEqual([0, 2])
  })

  it('goes through what is found page by page; letters that come and go meanwhile hide and repeat none', async () => {
    const { namespace, ids } = await bury([...ANSWERS, ...ANSWERS], { name: 'mail' })
    const seen: string[] = []
    let cursor: string | undefined
    let lookedAt = 0
    for (let page = 0; page === 0 || cursor; page++) {
      const answer = await list(namespace, `&status=500&limit=1${cursor ? `&cursor=${cursor}` : ''}`)
      seen.push(...answer.deadLetters.map(({ id }) => id))
      lookedAt += answer.lookedAt
      cursor = answer.cursor
      // One before the cursor goes, one at the end comes.
      if (page === 0) {
        const filter = { namespace, queue: 'mail', ids: [ids[0]] }
        await post('/dead-letters/discard', { filter, who: 'ada', why: 'test' })
        ids.push(...(await buryMore(namespace, [{ status: 500, body: 'one more' }], 'mail')))
      }
    }
    expect(seen).toEqual([ids[0], ids[2], ids[4], ids[6], ids[8]])
    expect(lookedAt).toBe(9)
  })

  it.each([
    ['reason', 'reason=tired'],
    ['status', 'status=9'],
    ['status', 'status=abc'],
    ['since', 'since=yesterday'],
    ['fingerprint', 'fingerprint=XYZ'],
    ['search', 'search='],
    ['colour', 'colour=red'],
  ])('refuses a bad %s: %s', async (field, query) => {
    expect(await get(`/dead-letters?namespace=shop-1&${query}`)).toMatchObject({
      status: 422,
      body: { code: 'request.invalid', errors: [{ pointer: `/${field}` }] },
    })
  })
})

describe('GET /dead-letters/{id}', () => {
  it('shows one letter with its last response, attempts and times', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 1 }])
    const answer = { status: 422, headers: { 'x-why': 'no such record' }, body: 'x'.repeat(10_000) }
    rig.receiver.script(pathOf(namespace, 'mail'), { status: 500 }, answer)
    const id = await rig.client.enqueue(namespace, 'mail', { data: { to: 'ada' } })
    await rig.client.until(namespace, 'mail', { dead: 1 })
    const { body } = await get<DeadLetter>(`/dead-letters/${id}`)
    expect(body).toMatchObject({
      id,
      namespace,
      queue: 'mail',
      reason: 'http_status',
      attempts: 2,
      data: { to: 'ada' },
    })
    expect(body.lastResponse).toMatchObject({
      status: 422,
      headers: { 'x-why': 'no such record' },
      body: 'x'.repeat(4096),
    })
    expect(Date.parse(body.diedAt)).toBeGreaterThanOrEqual(Date.parse(body.enqueuedAt))
    expect(body).not.toHaveProperty('text')
    expect((await list(namespace)).deadLetters).toEqual([body])
  })

  it('knows what is no dead letter', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const id = await rig.client.enqueue(namespace, 'mail')
    for (const path of [id, 'job_nonsense', 'x%2Fy'])
      expect(await get(`/dead-letters/${path}`)).toMatchObject({ status: 404, body: { code: 'job.unknown' } })
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
  })
})

describe('GET /dead-letters/groups', () => {
  it('puts letters together that failed in the same way, the largest group first', async () => {
    const { namespace, ids } = await bury(ANSWERS, { name: 'mail' })
    const { deadLetters } = await list(namespace)
    const { body } = await get<Grouped>(`/dead-letters/groups?namespace=${namespace}`)
    expect(body).toMatchObject({ lookedAt: 4, complete: true })
    expect(body.groups.map(({ count, sample }) => [count, sample])).toEqual([
      [2, 'user 22 not found'],
      [1, 'never again'],
      [1, 'try later'],
    ])
    expect(body.groups[0]).toMatchObject({
      ...{ namespace, queue: 'mail', reason: 'http_status', status: 500, exampleId: ids[2] },
      ...{ firstAt: deadLetters[0]?.diedAt, lastAt: deadLetters[2]?.diedAt },
    })
    const { fingerprint } = body.groups[0] as LetterGroup
    expect(await list(namespace, `&fingerprint=${fingerprint}`)).toMatchObject({
      deadLetters: [{ id: ids[0] }, { id: ids[2] }],
    })
    expect((await get<Grouped>(`/dead-letters/groups?namespace=${namespace}&queue=mail`)).body).toEqual(body)
    expect((await get(`/dead-letters/groups?namespace=${namespace}&queue=nope`)).status).toBe(404)
  })
})

describe('POST /dead-letters/redrive without a rate', () => {
  it('puts back what meets the filter, at once, and counts it', async () => {
    const { namespace, ids } = await bury(ANSWERS, { name: 'mail' })
    rig.receiver.script(pathOf(namespace, 'mail'), { status: 200 })
    const filter = { namespace, queue: 'mail' }
    const redrive = async (more: object, rest: object = {}) =>
      (await post('/dead-letters/redrive', { filter: { ...filter, ...more }, ...rest })).body
    expect(await redrive({ status: 500 }, { limit: 1 })).toEqual({ redriven: 1, ids: [ids[0]] })
    expect(await redrive({ status: 500 })).toEqual({ redriven: 1, ids: [ids[2]] })
    expect(await redrive({ ids: [ids[1], ids[3]], reason: 'no_retry' })).toEqual({ redriven: 1, ids: [ids[1]] })
    expect(await redrive({ search: 'nothing of that' })).toEqual({ redriven: 0, ids: [] })
    await rig.client.until(namespace, 'mail', { succeeded: 3, dead: 1 })
    expect(await metricOf(rig.client, 'millrace_dead_letters_redriven_total', { namespace })).toBe(3)
  })
})

describe('POST /dead-letters/discard', () => {
  it('removes letters for good, with who and why, and the balance holds', async () => {
    const { namespace, ids } = await bury(ANSWERS, { name: 'mail' })
    const filter = { namespace, queue: 'mail', status: 500 }
    const by = { who: 'ada', why: 'accounts are closed' }
    expect((await post('/dead-letters/discard', { filter, ...by })).body).toEqual({
      discarded: 2,
      ids: [ids[0], ids[2]],
    })
    expect((await post('/dead-letters/discard', { filter, ...by })).body).toEqual({ discarded: 0, ids: [] })
    expect((await list(namespace)).deadLetters.map(({ id }) => id)).toEqual([ids[1], ids[3]])
    expect((await get(`/dead-letters/${ids[0]}`)).status).toBe(404)
    expect((await post(`/jobs/${ids[0]}/retry`)).status).toBe(404)
    expect(await rig.client.counts(namespace, 'mail')).toMatchObject({ dead: 4, discarded: 2 })
    expect((await eventsOf(rig.redis, ids[0] as string)).at(-1)).toMatchObject({ data: JSON.stringify(by) })
    expect((await typesOf(rig.redis, ids[0] as string)).slice(-2)).toEqual(['job.dead_lettered', 'job.discarded'])
    expect((await get(`/queues/${namespace}/mail/balance`)).body).toMatchObject({ accepted: 4, dead: 4, imbalance: 0 })
    const shown = () => metricOf(rig.client, 'millrace_dead_letters', { namespace })
    await expect.poll(shown, { timeout: 60_000 }).toBe(2)
  })

  it('wants a name, a reason and a queue that is there', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const filter = { namespace, queue: 'mail' }
    const refused = async (body: object, expected: object) =>
      expect(await post('/dead-letters/discard', body)).toMatchObject(expected)
    await refused({ filter, who: 'ada' }, { status: 422, body: { errors: [{ pointer: '/why' }] } })
    await refused({ filter, why: 'x' }, { status: 422, body: { errors: [{ pointer: '/who' }] } })
    await refused({ who: 'ada', why: 'x' }, { status: 422, body: { errors: [{ pointer: '/filter' }] } })
    const nowhere = { filter: { ...filter, queue: 'nope' }, who: 'ada', why: 'x' }
    await refused(nowhere, { status: 404, body: { code: 'queue.unknown' } })
  })
})
