import { DatabaseSync } from 'node:sqlite'
import { freePort } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { blockOf, readPage } from './pages.ts'
import { openPlayground, type Playground } from './playground.ts'

const page = readPage('docs/audit.md')
const EVENTS = [
  { eventType: 'order.paid', data: { cents: 4200 } },
  { eventType: 'order.shipped', data: { parcel: 'P-1' } },
]
let playground: Playground

beforeAll(async () => {
  playground = await openPlayground({ servicePort: await freePort() })
  for (const event of EVENTS) {
    const body = { namespace: 'shop', entityId: 'order-7', metadata: { who: 'ada' }, ...event }
    const init = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    const response = await fetch(`${playground.place.urls.audit}/v1/events/emit`, { method: 'POST', ...init })
    expect(response.status).toBe(201)
  }
  playground.write('verify.mjs', blockOf(page, 'verify.mjs').text)
}, 90_000)
afterAll(() => playground.stop())

describe('the verification by hand in docs/audit.md', { timeout: 240_000 }, () => {
  const verify = () => playground.run(blockOf(page, 'verify').text)

  it('prints what the page says about a chain that is whole', async () => {
    expect(plain(await verify())).toEqual(expect.arrayContaining(plain(blockOf(page, 'verified').text)))
  })

  it('finds a payload that was changed', async () => {
    const store = new DatabaseSync(`${playground.place.home}/audit/audit.sqlite`)
    store.prepare(`UPDATE records SET data = '{"cents":1}' WHERE event_type = 'order.paid'`).run()
    store.close()
    const lines = plain(await verify())
    expect(lines).toEqual(expect.arrayContaining([expect.stringMatching(/order.paid .* DOES NOT FIT$/), 'TAMPERED']))
  })
})

function plain(text: string): string[] {
  return text
    .trimEnd()
    .split('\n')
    .map((line) => line.replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, 'time'))
}
