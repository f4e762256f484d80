import type { DeadLetter } from '@millrace/contracts'
import { asyncApiFaults, eventually, type Receiver, startReceiver, withBy } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { getJson } from '../e2e/platform.ts'
import { blockOf, codeBlocks, readPage, tableRows } from './pages.ts'
import { openPlayground, type Playground } from './playground.ts'

let service: Receiver
let playground: Playground

beforeAll(async () => {
  service = await startReceiver()
  playground = await openPlayground({ servicePort: service.port })
}, 90_000)
afterAll(async () => {
  await playground.stop()
  await service.stop()
})

const post = async (path: string, body: unknown) => {
  const url = `${playground.place.urls.dispatcher}${path}`
  const method = path.startsWith('/services/') ? 'PUT' : 'POST'
  const init = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(withBy(method, path, body)) }
  return fetch(url, { method, ...init })
}
const enqueue = async (data: unknown, more: Record<string, unknown> = {}) => {
  const response = await post('/jobs', { namespace: 'hello', queue: 'greet', data, ...more })
  return ((await response.json()) as { id: string }).id
}
/** Two jobs that their worker holds, with the tokens that it got. */
const hold = async () => {
  const path = '/internal/jobs/export'
  service.script(path, { status: 202, headers: { 'x-job-lease': '60' } })
  const ids = [await enqueue('one', { queue: 'export', key: 'a' }), await enqueue('two', { queue: 'export', key: 'b' })]
  const requests = await service.waitFor(path, 2)
  for (const id of ids) await eventually(() => wasLeased(id), { timeoutMs: 10_000, what: `the lease of ${id}` })
  service.script(path, { status: 200 })
  const tokenOf = (id: string | undefined) =>
    String(requests.find(({ headers }) => headers['webhook-id'] === id)?.headers['x-job-token'])
  return { HELD: ids[0]!, HELD2: ids[1]!, TOKEN: tokenOf(ids[0]), TOKEN2: tokenOf(ids[1]) }
}
const wasLeased = async (id: string) => {
  const { history = [] } = await getJson<{ history?: { type: string }[] }>(
    `${playground.place.urls.audit}/v1/jobs/${id}`,
  )
  return history.some(({ type }) => type === 'job.leased')
}

describe('docs/api.md', { timeout: 240_000 }, () => {
  it('has commands that work as they stand there', async () => {
    const [first, ...others] = codeBlocks(readPage('docs/api.md')).filter(({ language }) => language === 'sh')
    expect(others.length).toBeGreaterThan(6)
    expect(await playground.run(first?.text ?? '')).toContain('"result":"created"')

    service.script('/internal/jobs/greet', { status: 489 }, { status: 200 })
    const dead = await enqueue('the dead one')
    await eventually(async () => {
      const url = `${playground.place.urls.dispatcher}/dead-letters?namespace=hello`
      return (await getJson<{ deadLetters: DeadLetter[] }>(url)).deadLetters.length === 1
    })
    const ids = {
      JOB: await enqueue('the other one'),
      DEAD: dead,
      LATER: await enqueue('later', { delayMs: 600_000 }),
      LATER2: await enqueue('later as well', { delayMs: 600_000 }),
      ...(await hold()),
    }
    for (const { text } of others) await playground.run(text, ids)
  })
})

describe('docs/delivery.md', () => {
  const blocks = codeBlocks(readPage('docs/delivery.md'))
  const queues = blocks.filter(({ language }) => language === 'yaml').map(({ text }) => text)
  const jobs = blocks.filter(({ title }) => title === 'job').map(({ text }) => text)

  it('has queues that are accepted, and jobs that they take', async () => {
    expect([queues.length, jobs.length].every((count) => count > 2)).toBe(true)
    const manifest = `metadata: {name: shop}\nspec:\n  queues:\n${queues.join('').replaceAll(/^/gm, '    ').trimEnd()}\n`
    expect(await (await post('/services/shop', { manifest, url: service.url })).json()).toMatchObject({
      result: 'created',
    })
    for (const job of jobs) expect((await post('/jobs', JSON.parse(job))).status, job).toBe(202)
  })
})

describe('docs/targets.md', () => {
  const page = readPage('docs/targets.md')

  it('has an apply that is refused as it says', async () => {
    const problem = JSON.parse(blockOf(page, 'problem').text) as { detail: string }
    await expect(playground.run(blockOf(page, 'refused').text)).rejects.toThrow(problem.detail)
  })
})

describe('docs/subscriptions.md', { timeout: 240_000 }, () => {
  const blocks = codeBlocks(readPage('docs/subscriptions.md'))

  it('has commands that work as they stand there, one after the other', async () => {
    const commands = blocks.filter(({ language }) => language === 'sh').map(({ text }) => text)
    expect(commands.length).toBeGreaterThan(5)
    const outputs: string[] = []
    for (const command of commands) outputs.push(await playground.run(command))
    expect(outputs[0]).toContain('"subscriptions":["paid-orders"]')
    const [request] = await service.waitFor('/internal/events/paid-orders', 1)
    expect(request?.json()).toMatchObject({ type: 'order.paid', source: '/shop', data: { cents: 4200 } })
    expect(outputs.join('')).toMatch(/"matched":[1-9]/)
    const described = outputs.find((output) => output.includes('"asyncapi"'))?.split('\n') ?? []
    expect(described.flatMap((line) => (line === '' ? [] : asyncApiFaults(JSON.parse(line))))).toEqual([])
    expect(described.join('')).toMatch(/"shop\.send"[\s\S]*"shipping\.receive\.paid-orders"/)
  })

  it('has subscriptions and events that are accepted', async () => {
    const [subscriptions, events] = [false, true].map((isEvents) =>
      blocks.filter(({ language, text }) => language === 'yaml' && text.startsWith('events:') === isEvents),
    )
    expect([subscriptions?.length, events?.length]).toEqual([3, 1])
    const list = subscriptions?.map(({ text }) => text.replaceAll(/^/gm, '    ').trimEnd()).join('\n')
    const declared = events?.[0]?.text.replaceAll(/^/gm, '  ').trimEnd()
    const manifest = `metadata: {name: documented}\nspec:\n  subscriptions:\n${list}\n${declared}\n`
    const response = await post('/services/documented', { manifest, url: service.url })
    expect(await response.json()).toMatchObject({ result: 'created', warnings: [] })
  })
})

describe('docs/manifest.md', () => {
  it('has a first manifest that is accepted', async () => {
    const [block] = codeBlocks(readPage('docs/manifest.md')).filter(({ language }) => language === 'yaml')
    const response = await post('/services/my-service', { manifest: block?.text, url: service.url })
    expect(await response.json()).toMatchObject({ result: 'created', queues: ['sync-record'], warnings: [] })
  })

  it('has examples that are accepted', async () => {
    const [, ...examples] = codeBlocks(readPage('docs/manifest.md')).filter(({ language }) => language === 'yaml')
    expect(examples.length).toBeGreaterThan(1)
    for (const { text } of examples) {
      const manifest = `metadata: {name: my-service}\nspec:\n${text.replaceAll(/^/gm, '  ').trimEnd()}\n`
      const response = await post('/services/my-service', { manifest, url: service.url })
      expect(await response.json(), text).toMatchObject({ result: 'changed', warnings: [] })
    }
  })

  it.each(tableRows(readPage('docs/manifest.md'), '| under `spec` | refused with |'))(
    'refuses %s',
    async (spec, text) => {
      const manifest = `metadata: {name: my-service}\nspec: {${bare(spec as string)}}`
      const response = await post('/services/my-service', { manifest, url: service.url })
      const { code, errors } = (await response.json()) as { code: string; errors: { detail: string; line: number }[] }
      expect(code).toBe('manifest.invalid')
      expect(errors).toEqual([expect.objectContaining({ detail: bare(text as string), line: 2 })])
    },
  )
})

/** Without the backticks. */
function bare(code: string): string {
  return code.replace(/^`(.*)`$/, '$1')
}
