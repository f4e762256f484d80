import { type ChildHandle, type Receiver, startReceiver } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPlace, type Place, runCommand, startUp } from './platform.ts'

const PATH = '/internal/jobs/mail'

let place: Place
let platform: ChildHandle
let service: Receiver
beforeAll(async () => {
  service = await startReceiver()
  place = await findPlace()
  platform = await startUp(place)
  const queues = [{ name: 'mail', endpoint: PATH, retries: 0 }]
  const body = { manifest: { metadata: { name: 'shop' }, spec: { queues } }, url: service.url, who: 'test' }
  await send('PUT', '/services/shop', body)
}, 90_000)
afterAll(async () => {
  await platform.stop()
  await place.remove()
  await service.stop()
})

const send = (method: string, path: string, body: unknown) =>
  fetch(`${place.urls.dispatcher}${path}`, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
const millrace = (...args: string[]) => runCommand(place, 'dead-letters', ...args)

async function bury(count: number): Promise<void> {
  service.script(PATH, ...Array.from({ length: count }, (_, n) => ({ status: 500, body: `no record ${n}` })))
  const jobs = Array.from({ length: count }, (_, n) => ({ namespace: 'shop', queue: 'mail', data: { n } }))
  await send('POST', '/jobs/batch', { jobs })
  const listed = async () => (await millrace('list', 'shop')).stdout.match(/^job_/gm)?.length
  await expect.poll(listed, { timeout: 60_000 }).toBe(count)
}

describe('millrace dead-letters', { timeout: 240_000 }, () => {
  it('finds, shows and groups them, tries a canary, redrives with a rate, and discards the rest', async () => {
    await bury(4)
    const groups = await millrace('groups', 'shop', 'mail')
    const [, fingerprint] = /^4 +mail +([0-9a-f]{12}) +http_status +500 .*no record \d$/m.exec(groups.stdout) ?? []
    expect(fingerprint, groups.output).toBeDefined()
    const found = await millrace('list', 'shop', '--fingerprint', fingerprint as string, '--search', '"n":2', '--json')
    const { deadLetters } = JSON.parse(found.stdout) as { deadLetters: { id: string }[] }
    expect(deadLetters).toHaveLength(1)
    const shown = await millrace('show', deadLetters[0]?.id as string)
    expect(shown.stdout).toMatch(
      /died +http_status after 1 attempt, [\s\S]*data +\{"n":2\}[\s\S]*HTTP 500[\s\S]*no record/,
    )

    const all = ['redrive', 'shop', 'mail', '--all', '--wait', '--why', 'test']
    const stopped = await millrace(...all, '--canary', '0.2')
    expect(stopped.stdout).toMatch(/^redrive_\S+ stopped by millrace: the first job died again, 1 redriven/)
    expect(stopped.code).toBe(1)
    service.script(PATH, { status: 200 })
    const done = await millrace(...all, '--rate', '50', '--limit', '2', '--redrive-id', 'two', '--json')
    expect(JSON.parse(done.stdout)).toMatchObject({ id: 'two', state: 'finished', redriven: 2, ratePerSecond: 50 })
    expect((await millrace('redrives', 'shop')).stdout).toMatch(/^two +mail +finished +2 /m)
    expect((await millrace('stop', 'two')).stdout).toMatch(/^two finished/)

    const left = await millrace('discard', 'shop', 'mail', '--status', '500', '--why', 'a test')
    expect(left.stdout.trim()).toBe('2 discarded')
    expect((await millrace('list', 'shop')).stdout.trim()).toBe('No dead letters.')
  })

  it('wants to know which, and why', async () => {
    expect((await millrace('redrive', 'shop', 'mail')).output).toMatch(/Say which/)
    expect((await millrace('discard', 'shop', 'mail', '--all')).output).toMatch(/Say why/)
    expect((await millrace('list', 'shop', '--status', 'abc')).output).toMatch(/\/status/)
  })
})
