import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { QueueCounts } from '@millrace/contracts'
import {
  type ChildHandle,
  eventually,
  freePort,
  type Receiver,
  type RedisServer,
  startProcess,
  startReceiver,
  startRedis,
} from '@millrace/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'
import { getJson } from '../e2e/platform.ts'
import { makeNextRelease, type Release, THIS_RELEASE } from './next-release.ts'

interface App {
  readonly process: ChildHandle
  readonly url: string
}

let redis: RedisServer
let service: Receiver
let home: string
let next: Release
const running = new Set<App>()

beforeAll(async () => {
  home = mkdtempSync(join(tmpdir(), 'millrace-rolling-'))
  next = makeNextRelease('0.2.0')
  ;[redis, service] = await Promise.all([startRedis(), startReceiver()])
})
afterAll(async () => {
  for (const { process } of running) await process.killGroup()
  await Promise.all([redis?.stop(), service?.stop()])
  next?.remove()
  rmSync(home, { recursive: true, force: true })
})

async function start(name: string, release: Pick<Release, 'main'>): Promise<App> {
  const port = await freePort()
  const process = await startProcess({
    file: release.main(name),
    env: { REDIS_URL: redis.url, MILLRACE_HOME: home, [`MILLRACE_${name.toUpperCase()}_PORT`]: String(port) },
  })
  const app = { process, url: `http://127.0.0.1:${port}` }
  running.add(app)
  await eventually(async () => (await fetch(`${app.url}/readyz`)).ok, { what: `${name} to be ready` })
  return app
}

async function stop(app: App): Promise<void> {
  running.delete(app)
  expect(await app.process.stop()).toEqual({ code: 0, signal: null })
}

it('two releases work side by side, app after app, there and back, and nothing is lost or done twice', {
  timeout: 240_000,
}, async () => {
  const [audit, scheduler, dispatcher] = await Promise.all([
    start('audit', THIS_RELEASE),
    start('scheduler', THIS_RELEASE),
    start('dispatcher', THIS_RELEASE),
  ])
  const spec = {
    queues: [{ name: 'mail', endpoint: '/internal/mail', retries: 0, concurrency: 4 }],
    schedules: [{ name: 'often', cron: '@every 1s', endpoint: '/internal/often' }],
  }
  service.script('/internal/mail', { delayMs: 5 })
  const applied = await fetch(`${dispatcher.url}/services/shop`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ manifest: { metadata: { name: 'shop' }, spec }, url: service.url, who: 'test' }),
  })
  expect(applied.status).toBe(200)

  let takes = [dispatcher.url]
  let accepted = 0
  let producing = true
  const produce = async () => {
    for (let tries = 0; producing; tries++) {
      // A producer asks again with its key, and asks another one, until somebody has said yes.
      const body = { namespace: 'shop', queue: 'mail', data: accepted, idempotencyKey: `k${accepted}` }
      const init = { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
      const answer = await fetch(`${takes[tries % takes.length]}/jobs`, init).catch(() => undefined)
      if (answer?.ok) accepted++
      await answer?.text()
    }
  }
  const producer = produce()
  const more = async (jobs = 40) => {
    const target = accepted + jobs
    await eventually(() => accepted >= target)
  }
  const replaceDispatcher = async (old: App, release: Pick<Release, 'main'>) => {
    const fresh = await start('dispatcher', release)
    takes = [old.url, fresh.url]
    await more()
    takes = [fresh.url]
    await stop(old)
    await more()
    return fresh
  }
  await more()
  const newDispatcher = await replaceDispatcher(dispatcher, next)
  const { info } = await getJson<{ info: { version: string } }>(`${newDispatcher.url}/openapi.json`)
  expect(info.version).toBe('0.2.0')
  const newScheduler = await start('scheduler', next)
  await stop(scheduler)
  const newAudit = await start('audit', next)
  await stop(audit)
  await more()
  const ticks = service.requests('/internal/often').length
  await service.waitFor('/internal/often', ticks + 2)
  // And back: somebody has looked at the new release and did not like it.
  const back = await replaceDispatcher(newDispatcher, THIS_RELEASE)
  producing = false
  await producer

  const ofMail = async () => {
    const { queues } = await getJson<{ queues: QueueCounts[] }>(`${back.url}/queues?namespace=shop`)
    return queues.find(({ queue }) => queue === 'mail')
  }
  await eventually(async () => (await ofMail())?.succeeded === accepted)
  expect(await ofMail()).toMatchObject({ accepted, succeeded: accepted, dead: 0, running: 0, waiting: 0 })
  const deliveries = service.requests('/internal/mail')
  expect(deliveries).toHaveLength(accepted)
  expect(new Set(deliveries.map(({ headers }) => headers['webhook-id'])).size).toBe(accepted)
  expect(deliveries.every(({ headers }) => headers['x-attempt'] === '1')).toBe(true)

  const path = '/schedules/shop/often/ledger?limit=1000'
  const { entries } = await getJson<{ entries: { at: string; until?: string }[] }>(`${newScheduler.url}${path}`)
  const times = entries
    .filter(({ until }) => until === undefined)
    .map(({ at }) => Date.parse(at))
    .toSorted()
  expect(times.length).toBeGreaterThan(4)
  const first = times[0] ?? 0
  expect(times, 'each second once').toEqual(times.map((_, index) => first + index * 1000))

  // Each job has been enqueued, started and has succeeded, and two recorders have had their turn.
  const verify = () => getJson<{ valid: boolean; records: number }>(`${newAudit.url}/v1/verify`)
  await eventually(async () => (await verify()).records >= 3 * accepted, { intervalMs: 500 })
  expect(await verify()).toMatchObject({ valid: true })
})
