import { existsSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import {
  type ChildHandle,
  eventually,
  freePort,
  type Receiver,
  type RedisServer,
  startReceiver,
  startRedis,
} from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { composedApp, makeVolume, NODE_UID, startContainer } from './container.ts'
import { type Image, layOutImage } from './image.ts'

const APPS = ['dispatcher', 'scheduler', 'audit'] as const
const ADMIN_KEY = 'a'.repeat(32)
const NONE = '0'.repeat(16)
const authorization = `Bearer ${ADMIN_KEY}`

let image: Image
beforeAll(() => {
  image = layOutImage()
})
afterAll(() => image.remove())

describe('the image', () => {
  it('has what runs in production and nothing else', () => {
    const has = (path: string) => existsSync(join(image.root, image.workdir, path))
    for (const app of APPS) expect(has(`apps/${app}/src/main.ts`), app).toBe(true)
    expect(['node_modules/fastify', 'node_modules/@millrace/streams/src/scripts/claim.lua'].map(has)).toEqual([
      true,
      true,
    ])
    const kept = ['node_modules/vitest', 'node_modules/typescript', 'packages/streams/test', 'docs', 'test/e2e', '.git']
    expect(kept.filter(has)).toEqual([])
    expect(image.installed.length).toBeGreaterThan(100)
    expect(image.env).toEqual({ NODE_ENV: 'production', MILLRACE_HOST: '0.0.0.0', MILLRACE_HOME: '/data' })
  })
})

// Namespaces are Linux's, as containers are: elsewhere an engine runs them in a machine of its own, and there is nothing to show.
if (process.platform === 'linux') {
  describe('a container', () => {
    const PROBE = `
      const { writeFileSync } = require('node:fs')
      const write = (path) => { try { writeFileSync(path, ''); return 'written' } catch ({ code }) { return code } }
      const status = require('node:fs').readFileSync('/proc/self/status', 'utf8')
      const rights = Object.fromEntries([...status.matchAll(/^(Cap(?:Inh|Prm|Eff|Amb|Bnd)|NoNewPrivs):\\s*(\\S+)$/gm)].map((m) => m.slice(1)))
      const places = ['/', '/app/', '/app/apps/audit/', '/app/node_modules/', '/etc/', '/usr/', '/usr/lib/', '/opt/', '/dev/', '/data/', '/tmp/']
      const found = Object.fromEntries(places.map((place) => [place, write(place + 'written')]))
      console.log(JSON.stringify({ uid: process.getuid(), gid: process.getgid(), cwd: process.cwd(), rights, found }))`

    it.each([
      ['a volume, which alone can be written to beside /tmp', true],
      ['none, and /tmp alone can be written to', false],
    ])('is confined to %s', async (_, hasVolume) => {
      const volume = makeVolume()
      const child = await startContainer(image, { args: ['--eval', PROBE], ...(hasVolume && { volume: volume.path }) })
      expect(await child.exited, child.output()).toMatchObject({ code: 0 })
      const refused = [
        '/',
        '/app/',
        '/app/apps/audit/',
        '/app/node_modules/',
        '/etc/',
        '/usr/',
        '/usr/lib/',
        '/opt/',
        '/dev/',
      ]
      expect(JSON.parse(child.stdout())).toEqual({
        ...{ uid: NODE_UID, gid: NODE_UID, cwd: '/app' },
        rights: {
          ...{ CapInh: NONE, CapPrm: NONE, CapEff: NONE, CapAmb: NONE, NoNewPrivs: '1' },
          // What could be had again by a program with more rights, if there were a way to more. Only root can give it up.
          CapBnd: process.getuid?.() === 0 ? NONE : expect.any(String),
        },
        found: {
          ...Object.fromEntries(refused.map((place) => [place, 'EROFS'])),
          ...{ '/data/': hasVolume ? 'written' : 'EROFS', '/tmp/': 'written' },
        },
      })
      expect(readdirSync(volume.path)).toEqual(hasVolume ? ['written'] : [])
      volume.remove()
    })

    it('does not come up with an app that would keep its files in another place', async () => {
      const { command } = composedApp('audit', {})
      const env = { REDIS_URL: redis.url, MILLRACE_ADMIN_KEY: ADMIN_KEY, MILLRACE_HOME: '/app' }
      const child = await startContainer(image, { args: command, env })
      expect((await child.exited).code).toBe(1)
      expect(child.output()).toContain("cannot be opened: ENOENT: no such file or directory, mkdir '/app/audit'")
    })
  })

  describe('the apps in their containers', () => {
    const children = new Map<string, ChildHandle>()
    const urls: Record<string, string> = {}
    const volume = makeVolume()
    let receiver: Receiver

    beforeAll(async () => {
      receiver = await startReceiver()
      for (const app of APPS) urls[app] = `http://127.0.0.1:${await freePort()}`
      for (const app of APPS) {
        const secrets = { MILLRACE_ADMIN_KEY: ADMIN_KEY, MILLRACE_MASTER_KEY: 'b'.repeat(64) }
        const { command, env } = composedApp(app, secrets)
        // With SQLite instead of the database beside it: it is what writes files.
        const { DATABASE_URL: _, ...composed } = env
        const here = {
          ...{ REDIS_URL: redis.url, SEPTOR_URL: urls.audit ?? '', MILLRACE_TARGETS: 'loopback' },
          [`MILLRACE_${app.toUpperCase()}_PORT`]: new URL(urls[app] ?? '').port,
        }
        const child = await startContainer(image, {
          ...{ args: command, env: { ...composed, ...here } },
          ...(app === 'audit' && { volume: volume.path }),
        })
        children.set(app, child)
      }
    })
    afterAll(async () => {
      await Promise.all([...children.values()].map((child) => child.stop()))
      await receiver.stop()
      volume.remove()
    })

    const call = (app: string, path: string, method = 'GET', body?: unknown) =>
      fetch(`${urls[app]}${path}`, {
        method,
        headers: { authorization, ...(body !== undefined && { 'content-type': 'application/json' }) },
        ...(body !== undefined && { body: JSON.stringify(body) }),
      })

    it.each(APPS)('become ready: %s', async (app) => {
      const ready = () => call(app, '/readyz').then(({ ok }) => ok)
      await eventually(ready, { timeoutMs: 60_000, what: `${app} to be ready\n${children.get(app)?.output()}` })
    })

    it('deliver a job, fire a schedule, and record both in the volume', async () => {
      const manifest = {
        metadata: { name: 'shop' },
        spec: {
          queues: [{ name: 'mail', endpoint: '/internal/mail' }],
          schedules: [{ name: 'nightly', cron: '0 2 * * *', endpoint: '/internal/nightly' }],
        },
      }
      const applied = await call('dispatcher', '/services/shop', 'PUT', { manifest, url: receiver.url, who: 'test' })
      expect(applied.status, await applied.text()).toBe(200)
      const { id } = (await (
        await call('dispatcher', '/jobs', 'POST', { namespace: 'shop', queue: 'mail', data: 1 })
      ).json()) as { id: string }
      const trigger = () => call('scheduler', '/schedules/shop/nightly/trigger', 'POST', { who: 'test', why: 'test' })
      await eventually(async () => (await trigger()).ok, { what: 'the schedule to be known and fired' })
      await Promise.all([receiver.waitFor('/internal/mail', 1), receiver.waitFor('/internal/nightly', 1)])
      const recorded = async () => {
        const answer = await call('audit', `/v1/jobs/${id}`)
        return answer.ok && ((await answer.json()) as { state: string }).state === 'succeeded'
      }
      await eventually(recorded, { timeoutMs: 60_000, what: 'the trail to have it' })
      expect(statSync(join(volume.path, 'audit', 'audit.sqlite')).size).toBeGreaterThan(0)
    })

    it('end when they are told to, and were refused nothing that they tried', async () => {
      const ends = await Promise.all([...children.values()].map((child) => child.stop()))
      const output = [...children.values()].map((child) => child.output()).join('\n')
      expect(
        ends.map(({ code }) => code),
        output,
      ).toEqual([0, 0, 0])
      expect(output).not.toMatch(/EROFS|EACCES|EPERM|read-only/i)
    })
  })
}

let redis: RedisServer
beforeAll(async () => {
  redis = await startRedis()
})
afterAll(() => redis.stop())
