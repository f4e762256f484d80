import { ACCESS, ROLES } from '@millrace/contracts'
import { eventually, freePort } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readFiles } from '../tidy/repository.ts'
import { blockOf, readPage, tableRows } from './pages.ts'
import { openPlayground, type Playground } from './playground.ts'

const page = readPage('docs/access.md')
const ADMIN_KEY = 'an-admin-key-of-more-than-32-characters'
const MANIFEST = {
  metadata: { name: 'shop' },
  spec: { queues: [{ name: 'send-mail', endpoint: '/internal/jobs/mail' }] },
}
let playground: Playground
let servicePort: number

beforeAll(async () => {
  servicePort = await freePort()
  playground = await openPlayground({ servicePort, env: { MILLRACE_ADMIN_KEY: ADMIN_KEY } })
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
        .flatMap((table) => Object.entries(table).filter(([, access]) => typeof access === 'string'))
        .map(([route]) => route.split(' ')[1]),
    )
    for (const path of open) expect(page).toContain(`\`${path}\``)
  })
})

describe('the page on verifying', { timeout: 240_000 }, () => {
  const verifying = readPage('docs/verifying.md')
  const post = (path: string, method: string, body: unknown) =>
    fetch(`${playground.place.urls.dispatcher}${path}`, {
      method,
      headers: { 'content-type': 'application/json', authorization: `Bearer ${ADMIN_KEY}` },
      body: JSON.stringify(body),
    })

  it('gives the service a secret with which it takes deliveries and nothing else', async () => {
    const printed = await playground.run(blockOf(verifying, 'rotate').text)
    const secret = /^whsec_\S+$/m.exec(printed)?.[0] ?? ''
    expect(secret, printed).not.toBe('')
    playground.write('worker.mjs', blockOf(verifying, 'worker.mjs').text)
    const worker = playground.start(`MILLRACE_SIGNING_SECRET=${secret} node worker.mjs`)
    await eventually(() => worker.output().includes('taking jobs'))
    const url = `http://127.0.0.1:${servicePort}`
    const forged = { headers: { 'content-type': 'application/json' }, body: '{"data":{"to":"eve"}}' }
    const refused = await fetch(`${url}/internal/jobs/mail`, { method: 'POST', ...forged })
    expect([refused.status, await refused.json()]).toMatchObject([401, { code: 'sdk.signature_missing' }])

    expect((await post('/services/shop', 'PUT', { manifest: MANIFEST, url, who: 'test' })).status).toBe(200)
    await post('/jobs', 'POST', { namespace: 'shop', queue: 'send-mail', data: { to: 'ada' } })
    await eventually(() => worker.output().includes('mail to ada'))
    expect(worker.output()).not.toContain('eve')
  })

  it('has commands that do what it says', async () => {
    const key = await playground.run('npx millrace secrets rotate shop --kind ed25519')
    expect(key).toMatch(/^whpk_\S+$/m)
    const listed = await playground.run('npx millrace secrets list shop --json')
    // In front of it npm may have something to say.
    const { secrets } = JSON.parse(listed.slice(listed.indexOf('{'))) as { secrets: { id: string; kind: string }[] }
    expect(secrets.map(({ kind }) => kind).toSorted()).toEqual(['ed25519', 'hmac'])
    const { id } = secrets.find(({ kind }) => kind === 'ed25519') ?? { id: '' }
    expect(await playground.run(`npx millrace secrets revoke shop ${id} --why "no longer asked for"`)).toContain(id)
    expect(await playground.run('npx millrace secrets reseal')).toContain('0 sealed')
    await expect(playground.run('npx millrace secrets rotate Shop')).rejects.toThrow('lower-case')
  })

  it('names every function and every code that the SDK has for it', () => {
    const code = readFiles('packages/sdk/src/verify/*.ts').map(({ text }) => text)
    const names = code.flatMap((text) => [
      ...[...text.matchAll(/'(sdk\.[a-z_]+)'/g)].map((match) => match[1] as string),
      ...[...text.matchAll(/^export function (verify\w*)\(/gm)].map((match) => match[1] as string),
    ])
    expect(names).toEqual(expect.arrayContaining(['verifyHono', 'sdk.signature_expired']))
    expect([...new Set(names)].filter((name) => !verifying.includes(name))).toEqual([])
  })
})
