import { type ChildHandle, type Receiver, startReceiver } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { findPlace, type Place, runCommand, startUp } from './platform.ts'

const PATH = '/internal/cron/hourly'

let place: Place
let platform: ChildHandle
let service: Receiver
beforeAll(async () => {
  service = await startReceiver()
  place = await findPlace()
  platform = await startUp(place)
  const schedules = [
    { name: 'hourly', cron: '0 * * * *', endpoint: PATH },
    { name: 'leap', cron: '0 0 31 2 *', endpoint: '/internal/cron/leap' },
  ]
  const body = { manifest: { metadata: { name: 'shop' }, spec: { schedules } }, url: service.url, who: 'test' }
  const applied = await fetch(`${place.urls.dispatcher}/services/shop`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  expect(await applied.text()).toContain('never fires')
}, 90_000)
afterAll(async () => {
  await platform.stop()
  await place.remove()
  await service.stop()
})

const millrace = (...args: string[]) => runCommand(place, 'schedule', ...args)

describe('millrace schedule', { timeout: 240_000 }, () => {
  it('lists, previews, pauses, runs, makes good and tells what became of it', async () => {
    await expect
      .poll(async () => (await millrace('list')).stdout, { timeout: 60_000 })
      .toMatch(/^shop\/hourly +every hour, UTC +\d{4}-\S+Z +– +–$/m)
    expect((await millrace('list', 'shop')).stdout).toMatch(/^shop\/leap .* never +/m)
    const preview = ['preview', '30 2 * * *', '--timezone', 'America/New_York', '--from', '2026-03-07T12:00:00Z']
    expect((await millrace(...preview, '--count', '1')).stdout).toBe(
      `at 02:30, America/New_York
AT                        LOCAL                    NOTE
2026-03-08T07:00:00.000Z  2026-03-08T03:00 -04:00  2026-03-08T02:30 does not exist: at the end of the gap
`,
    )
    expect((await millrace('pause', 'shop', 'hourly', '--why', 'a test')).stdout).toBe('shop/hourly paused\n')
    expect((await millrace('list')).stdout).toMatch(/^shop\/hourly .* by \S+: a test$/m)
    const ran = await millrace('run', 'shop', 'hourly', '--key', 'k1', '--why', 'a test')
    expect(ran.stdout).toMatch(/^fired as job_/)
    expect((await millrace('run', 'shop', 'hourly', '--key', 'k1')).stdout).toBe(ran.stdout)
    expect((await millrace('resume', 'shop', 'hourly')).stdout).toBe('shop/hourly resumed\n')

    const range = ['--from', '2026-01-01T00:00:00Z', '--to', '2026-01-01T02:00:00Z', '--rate', '50', '--id', 'b1']
    const backfill = async () => (await millrace('backfill', 'shop', 'hourly', ...range)).stdout
    expect(await backfill()).toMatch(/^b1 running: 0 fired/)
    await expect.poll(backfill, { timeout: 60_000 }).toBe('b1 finished: 3 fired, 0 had fired before\n')
    await service.waitFor(PATH, 4)
    const ledger = async () => (await millrace('ledger', 'shop', 'hourly', '--state', 'late')).stdout
    await expect
      .poll(ledger, { timeout: 60_000 })
      .toMatch(/^2026-01-01T02:00:00.000Z +late +1 +\d+ ms +job_\S+ +succeeded$/m)
  })

  it('says what is wrong with what was asked', async () => {
    expect((await millrace('preview', '61 * * * *')).output).toMatch(/\/cron "61 \* \* \* \*".*0 to 59/)
    expect((await millrace('pause', 'shop', 'nightly')).output).toMatch(/It declares: hourly, leap/)
    expect((await millrace('ledger', 'shop', 'hourly', '--state', 'gone')).output).toMatch(/\/state/)
  })
})
