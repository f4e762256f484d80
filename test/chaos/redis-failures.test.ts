import { randomBytes } from 'node:crypto'
import { createPartition, LOG_READERS } from '@millrace/streams'
import { eventually } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { judge } from './checks.ts'
import { gatherEvidence, untilAtRest, untilRecorded } from './evidence.ts'
import { type Load, startLoad } from './load.ts'
import { NAMESPACE } from './manifest.ts'
import { declare, type Platform, startApps, startPlatform } from './platform.ts'
import { createRandom } from './random.ts'
import { type Service, startService } from './service.ts'
import { startWitness, type Witness } from './witness.ts'

// One platform under load for all of these, in the order of the file; at the end everything that was ever accepted is counted.
let service: Service
let platform: Platform
let witness: Witness
let load: Load

beforeAll(async () => {
  service = await startService(createRandom(1))
  const one = { dispatchers: 1, schedulers: 1, workers: 1, store: 'sqlite', leaseMs: 1500 } as const
  platform = await startPlatform({ ...one, serviceUrl: service.url })
  witness = startWitness(platform.deployment)
  await startApps(platform, () => declare(platform, service.url))
  load = startLoad({ urls: [platform.urlOf('dispatcher-1')], perSecond: 10, random: createRandom(2) })
}, 120_000)
afterAll(async () => {
  await load?.stop()
  await witness?.stop()
  await platform?.stop()
  await service?.stop()
})

async function enqueue(body: Record<string, unknown>) {
  const response = await fetch(`${platform.urlOf('dispatcher-1')}/jobs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ namespace: NAMESPACE, data: 'probe', ...body }),
  })
  const answer = (await response.json()) as { id?: string; code?: string }
  return { status: response.status, retryAfter: Number(response.headers.get('retry-after')), ...answer }
}

/** Everything works: a job is pushed, one is pulled, a tick and an event come, and the trail has it. */
async function expectFlow(timeoutMs = 60_000): Promise<void> {
  const from = Date.now()
  for (const queue of ['mail', 'parcels']) {
    const id = await eventually(async () => (await enqueue({ queue })).id, {
      timeoutMs,
      what: `${queue} to be accepted`,
    })
    const state = async () => {
      const answer = await fetch(`${platform.urlOf('audit-1')}/v1/jobs/${id}`)
      return ((await answer.json()) as { state?: string }).state === 'succeeded'
    }
    await eventually(state, { timeoutMs, what: `the trail to have the end of a job of ${queue}` })
  }
  const news = [...load.told.events].at(-1)
  await eventually(() => (service.progress.ticks.at(-1) ?? 0) > from, { timeoutMs, what: 'a tick' })
  const next = () => [...load.told.events].slice([...load.told.events].indexOf(String(news)) + 1)
  await eventually(() => next().some((id) => service.eventJobs.has(id)), { timeoutMs, what: 'an event' })
}

async function command(queue: string, action: 'pause' | 'resume'): Promise<void> {
  const response = await fetch(`${platform.urlOf('dispatcher-1')}/queues/${NAMESPACE}/${queue}/${action}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ who: 'chaos' }),
  })
  expect(response.status).toBe(200)
}

const expectRefused = (code: string) =>
  eventually(async () => {
    const refused = await enqueue({ queue: 'mail' })
    expect(refused).toMatchObject({ status: 503, code })
    expect(refused.retryAfter).toBeGreaterThan(0)
    return true
  })

async function errorsOf(name: string): Promise<number> {
  const info = await platform.redis.client().info('errorstats')
  return Number(new RegExp(`^errorstat_${name}:count=(\\d+)`, 'm').exec(info)?.[1] ?? 0)
}

describe('Redis that', { timeout: 240_000 }, () => {
  it('is killed and comes back with its append-only file', async () => {
    await platform.redis.kill()
    await expectRefused('store.unavailable')
    await platform.redis.restart()
    await expectFlow()
  })

  it('forgets its functions (FUNCTION FLUSH) is given them again', async () => {
    const functions = () => platform.redis.client().function('LIST')
    const before = await functions()
    await platform.redis.client().function('FLUSH', 'SYNC')
    await expectFlow()
    expect(await functions()).toEqual(before)
  })

  it('loses its consumer groups (NOGROUP) has them made again', async () => {
    const client = platform.redis.client()
    const { keys } = createPartition(client, 0)
    for (const group of Object.values(LOG_READERS)) expect(await client.xgroup('DESTROY', keys.log, group)).toBe(1)
    await expectFlow()
    expect(await errorsOf('NOGROUP')).toBeGreaterThan(0)
  })

  it('kills its clients (CLIENT KILL) is connected to again', async () => {
    const client = platform.redis.client()
    const killed = (type: string) => client.call('CLIENT', 'KILL', 'TYPE', type, 'SKIPME', 'yes') as Promise<number>
    expect((await killed('normal')) + (await killed('pubsub'))).toBeGreaterThan(3)
    await expectFlow()
  })

  it('becomes a replica (READONLY) is a 503 until there is a primary again', async () => {
    const client = platform.redis.client()
    await client.replicaof('127.0.0.1', 1)
    await expectRefused('store.unavailable')
    expect(await errorsOf('READONLY')).toBeGreaterThan(0)
    await client.replicaof('NO', 'ONE')
    await expectFlow()
  })

  it('is loading its data (LOADING) is a 503 until it has', async () => {
    // A server that loads serves its clients after each 1,024 commands of the file, so there have to be some of those.
    const filler = platform.redis.client().pipeline()
    for (let n = 0; n < 5000; n++) filler.incr('filler')
    await filler.exec()
    // So many microseconds for each of them: a large file would take as long.
    const settings = { 'key-load-delay': '500' }
    await platform.redis.restart({ settings, until: 'loading' })
    expect(await platform.redis.client({ enableReadyCheck: false }).info('persistence')).toContain('loading:1')
    await expectRefused('store.unavailable')
    await platform.redis.restart()
    await expectFlow()
  })

  it('is half-open on every connection, blocking and subscribed ones too, is found within 15 s', async () => {
    for (const { proxy } of platform.apps) proxy.freeze()
    const held = () => platform.apps.filter(({ proxy }) => proxy.frozen() > 0).map(({ name }) => name)
    expect(held()).toHaveLength(platform.apps.length)
    await eventually(() => held().length === 0, { timeoutMs: 15_000, what: 'all of them to be given up' })
    await expectFlow()
  })

  it('is full (OOM) refuses new work, and delivering what there is makes room by itself', async () => {
    const client = platform.redis.client()
    const sizeBytes = 20_000
    await command('mail', 'pause')
    // Random, so that packing does not make it small.
    for (let n = 0; n < 200; n++) {
      const data = randomBytes(sizeBytes / 2).toString('hex')
      await eventually(async () => (await enqueue({ queue: 'mail', data })).id)
    }
    // Of what is used just now some may be answers on their way, which are gone a moment later: so it is filled again, until it is seen to be full.
    const fill = async () => {
      const used = Number(/^used_memory:(\d+)/m.exec(await client.info('memory'))?.[1])
      await client.config('SET', 'maxmemory', String(used - 50 * sizeBytes))
    }
    await fill()
    await expectRefused('store.full')
    const said = () => platform.app('scheduler-1').output()
    const isSaid = async () => {
      await fill()
      return said().includes('OOM')
    }
    await eventually(isSaid, { what: 'the scheduler to be refused its ticks' })
    await command('mail', 'resume')
    await expectFlow(60_000)
    await client.config('SET', 'maxmemory', '0')
    expect(said(), 'no payload of a command that failed').not.toContain('"scheduledAt')
  })

  it('did all of that has lost nothing and doubled nothing', async () => {
    await platform.ready()
    await load.stop()
    await Promise.all(platform.of('scheduler').map((app) => app.stop()))
    expect(await untilAtRest(platform, { timeoutMs: 60_000 })).toBeUndefined()
    await untilRecorded(platform, witness.seen, 60_000)
    const evidence = await gatherEvidence({ platform, service, told: load.told, seen: witness.seen, surprises: [] })
    expect([...judge(evidence).values()].flat()).toEqual([])
    expect(load.told.jobs.size).toBeGreaterThan(50)
  })
})
