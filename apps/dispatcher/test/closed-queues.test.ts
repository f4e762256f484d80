import { eventually } from '@millrace/testkit'
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest'
import { applyTo, expectBalance, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())
afterEach(() => expectBalance(rig.client))

const post = <Body = Record<string, unknown>>(path: string, body: unknown = {}) =>
  rig.client.call<Body>('POST', path, { body })

/** A queue with two dead letters that is declared no more, and closed. */
async function closeWithLetters(commands: readonly [word: string, body: Record<string, unknown>][] = []) {
  const queue = { name: 'mail', retries: 0, keyConcurrency: 2 }
  const namespace = await rig.service([queue])
  rig.receiver.script(pathOf(namespace, 'mail'), { status: 489 }, { status: 489 }, {})
  const ids = [await rig.client.enqueue(namespace, 'mail'), await rig.client.enqueue(namespace, 'mail')]
  await rig.client.until(namespace, 'mail', { dead: 2 })
  for (const [word, body] of commands) await post(`/queues/${namespace}/mail/${word}`, { who: 'ada', ...body })
  await applyTo(rig.client, namespace, [], rig.receiver.url)
  await eventually(async () => (await post(`/queues/${namespace}/mail/resume`)).status === 404, { timeoutMs: 20_000 })
  return { namespace, ids, declareAgain: () => applyTo(rig.client, namespace, [queue], rig.receiver.url) }
}

it('dead letters of a closed queue are listed, grouped, refused to be put back with what to do, and discarded', async () => {
  const { namespace, ids, declareAgain } = await closeWithLetters()
  for (const query of ['', '&queue=mail'])
    expect((await rig.client.deadLetters(namespace, query)).map(({ id }) => id)).toEqual(ids)
  const { body } = await rig.client.call<{ groups: unknown[] }>('GET', `/dead-letters/groups?namespace=${namespace}`)
  expect(body.groups).toMatchObject([{ queue: 'mail', count: 2 }])
  const filter = { namespace, queue: 'mail' }
  const refused = { status: 409, body: { code: 'queue.closing', detail: expect.stringContaining('Declare it again') } }
  expect(await post('/dead-letters/redrive', { filter })).toMatchObject(refused)
  expect(await post('/dead-letters/redrive', { filter, ratePerSecond: 5 })).toMatchObject(refused)
  expect(await post(`/jobs/${ids[0]}/retry`)).toMatchObject(refused)
  const discarded = await post('/dead-letters/discard', {
    filter: { ...filter, ids: [ids[0]] },
    who: 'ada',
    why: 'old',
  })
  expect(discarded.body).toMatchObject({ discarded: 1 })
  await declareAgain()
  expect((await post('/dead-letters/redrive', { filter })).body).toMatchObject({ redriven: 1, ids: [ids[1]] })
  await rig.client.until(namespace, 'mail', { succeeded: 1, dead: 1 })
  expect((await rig.client.call('GET', `/dead-letters?namespace=${namespace}&queue=never`)).status).toBe(404)
})

it('pauses of a queue and of its keys, and its drain, end with it', async () => {
  const { namespace, declareAgain } = await closeWithLetters([
    ['pause', { key: 'ada' }],
    ['pause', {}],
    ['drain', {}],
  ])
  await declareAgain()
  await rig.client.enqueue(namespace, 'mail', { key: 'ada' })
  const counts = await rig.client.until(namespace, 'mail', { succeeded: 1 })
  expect(counts).not.toHaveProperty('paused')
  expect(counts).not.toHaveProperty('draining')
})

it('progress counts while a job runs, and only then', async () => {
  const namespace = await rig.service([{ name: 'video', retries: 0 }])
  rig.receiver.script(pathOf(namespace, 'video'), { status: 489 })
  const progress = { title: 'Rendering', total: 2, progress: 1 }
  const later = await rig.client.enqueue(namespace, 'video', { delayMs: 60_000 })
  const dead = await rig.client.enqueue(namespace, 'video')
  await rig.client.until(namespace, 'video', { dead: 1 })
  for (const [id, what] of [
    [later, 'it is scheduled'],
    [dead, 'it is a dead letter'],
  ] as const)
    expect(await post(`/jobs/${id}/progress`, progress)).toMatchObject({
      status: 409,
      body: { code: 'job.not_held', detail: expect.stringContaining(what) },
    })
  await post(`/jobs/${later}/cancel`)
  expect((await post(`/jobs/${later}/progress`, progress)).status).toBe(404)
})
