import { ACCESS, ROLES } from '@millrace/contracts'
import { freePort } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blockOf, readPage, tableRows } from './pages.ts'
import { openPlayground, type Playground } from './playground.ts'

const page = readPage('docs/access.md')
const ADMIN_KEY = 'an-admin-key-of-more-than-32-characters'
const MANIFEST = {
  metadata: { name: 'shop' },
  spec: { queues: [{ name: 'send-mail', endpoint: '/internal/jobs/mail' }] },
}
let playground: Playground

beforeAll(async () => {
  playground = await openPlayground({ servicePort: await freePort(), env: { MILLRACE_ADMIN_KEY: ADMIN_KEY } })
  const response = await fetch(`${playground.place.urls.dispatcher}/services/shop`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${ADMIN_KEY}` },
    body: JSON.stringify({ manifest: MANIFEST, url: 'http://127.0.0.1:9', who: 'test' }),
  })
  expect(response.status).toBe(200)
}, 90_000)
afterAll(() => playground.stop())

describe('the page on keys', { timeout: 240_000 }, () => {
  it('makes a key that lets its service in', async () => {
    const printed = await playground.run(blockOf(page, 'make a key').text)
    const key = /^mk_\S+$/m.exec(printed)?.[0] ?? ''
    expect(key, printed).not.toBe('')
    const answer = await playground.run(blockOf(page, 'use a key').text, { KEY: key })
    expect(JSON.parse(answer)).toMatchObject({ id: expect.stringMatching(/^job_/) })
    await expect(playground.run(blockOf(page, 'use a key').text, { KEY: 'wrong' })).rejects.toThrow('auth.invalid')
    expect(await playground.run('npx millrace keys list')).toMatch(/shop-api +producer:shop worker:shop/)
  })

  it('names every role, and every route that is open', () => {
    expect(tableRows(page, '| role | may |').map(([role]) => role)).toEqual(ROLES.map((role) => `\`${role}\``))
    const open = new Set(
      Object.values(ACCESS)
        .flatMap((table) => Object.entries(table).filter(([, access]) => access === 'open'))
        .map(([route]) => route.split(' ')[1]),
    )
    for (const path of open) expect(page).toContain(`\`${path}\``)
  })
})
