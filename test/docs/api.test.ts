import type { DeadLetter } from '@millrace/contracts'
import { eventually, type Receiver, startReceiver } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { getJson } from '../e2e/platform.ts'
import { codeBlocks, readPage, tableRows } from './pages.ts'
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
  const init = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
  return fetch(url, { method: path.startsWith('/services/') ? 'PUT' : 'POST', ...init })
}
const enqueue = async (data: unknown) => {
  const response = await post('/jobs', { namespace: 'hello', queue: 'greet', data })
  return ((await response.json()) as { id: string }).id
}

describe('docs/api.md', { timeout: 90_000 }, () => {
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
    const job = await enqueue('the other one')
    for (const { text } of others) await playground.run(text, { JOB: job, DEAD: dead })
  })
})

describe('docs/manifest.md', () => {
  it('has a first manifest that is accepted', async () => {
    const [block] = codeBlocks(readPage('docs/manifest.md')).filter(({ language }) => language === 'yaml')
    const response = await post('/services/my-service', { manifest: block?.text, url: service.url })
    expect(await response.json()).toMatchObject({ result: 'created', queues: ['sync-record'], warnings: [] })
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
