import { ACCESS } from '@millrace/contracts'
import { freePort, type RedisServer, startProcess, startRedis } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { MAIN, startDispatcherProcess } from './dispatcher-process.ts'
import { applyTo, eventsOf, metricOf, pathOf, type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

describe('/metrics', () => {
  it('counts jobs and attempts by queue and outcome, and measures them', async () => {
    const namespace = await rig.service([{ name: 'mail', retries: 1, concurrency: 3 }])
    rig.receiver.script(pathOf(namespace, 'mail'), { status: 500, delayMs: 60 }, { delayMs: 60 }, { status: 489 })
    await rig.client.enqueue(namespace, 'mail', { idempotencyKey: 'k' })
    await rig.client.enqueue(namespace, 'mail', { idempotencyKey: 'k' })
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
    await rig.client.enqueue(namespace, 'mail')
    await rig.client.until(namespace, 'mail', { dead: 1 })

    const labels = { namespace, queue: 'mail' }
    const value = (name: string, more: Record<string, string> = {}) =>
      metricOf(rig.client, name, { ...labels, ...more })
    expect(await value('millrace_jobs_enqueued_total', { result: 'enqueued' })).toBe(2)
    expect(await value('millrace_jobs_enqueued_total', { result: 'replayed' })).toBe(1)
    expect(await value('millrace_jobs_finished_total', { outcome: 'succeeded' })).toBe(1)
    expect(await value('millrace_jobs_finished_total', { outcome: 'dead' })).toBe(1)
    expect(await value('millrace_delivery_attempts_total', { outcome: 'retry', reason: 'http_status' })).toBe(1)
    expect(await value('millrace_delivery_attempts_total', { outcome: 'succeeded' })).toBe(1)
    expect(await value('millrace_delivery_attempts_total', { outcome: 'dead', reason: 'no_retry' })).toBe(1)
    expect(await value('millrace_delivery_duration_seconds_count', { outcome: 'succeeded' })).toBe(1)
    expect(await value('millrace_delivery_duration_seconds_sum', { outcome: 'succeeded' })).toBeGreaterThan(0.05)
    expect(await value('millrace_delivery_duration_seconds_sum', { outcome: 'succeeded' })).toBeLessThan(5)
    expect(await value('millrace_delivery_wait_seconds_count')).toBe(3)
    expect(await value('millrace_delivery_in_flight')).toBe(0)
    expect(await value('millrace_dead_letters_total', { reason: 'no_retry' })).toBe(1)
    expect(await value('millrace_delivery_completion_seconds_count', { outcome: 'succeeded' })).toBe(1)
    expect(await value('millrace_delivery_completion_seconds_sum', { outcome: 'succeeded' })).toBeGreaterThan(0.1)
    expect(await value('millrace_delivery_completion_seconds_count', { outcome: 'dead' })).toBe(1)
    expect(await value('millrace_job_attempts_sum')).toBe(3)
    expect(await metricOf(rig.client, 'millrace_build_info')).toBe(1)
    const answered = { http_route: '/jobs', http_response_status_code: '202' }
    expect(await metricOf(rig.client, 'http_server_request_duration_seconds_count', answered)).toBe(2)
  })

  it('shows backlog, oldest age, limit and balance of each queue', async () => {
    const namespace = await rig.service([{ name: 'mail', concurrency: 1 }])
    const gate = Promise.withResolvers<void>()
    rig.receiver.script(pathOf(namespace, 'mail'), () => gate.promise.then(() => ({})))
    for (let n = 0; n < 3; n++) await rig.client.enqueue(namespace, 'mail')
    await rig.client.enqueue(namespace, 'mail', { delayMs: 60_000 })
    const labels = { namespace, queue: 'mail' }
    const value = (name: string, more: Record<string, string> = {}) =>
      metricOf(rig.client, name, { ...labels, ...more })
    await expect.poll(() => value('millrace_queue_jobs', { state: 'waiting' }), { timeout: 60_000 }).toBe(2)
    expect(await value('millrace_queue_jobs', { state: 'running' })).toBe(1)
    expect(await value('millrace_queue_jobs', { state: 'scheduled' })).toBe(1)
    expect(await value('millrace_dead_letters')).toBe(0)
    expect(await value('millrace_queue_concurrency_limit')).toBe(1)
    expect(await value('millrace_queue_imbalance_jobs')).toBe(0)
    const oldest = (await value('millrace_queue_oldest_waiting_timestamp_seconds')) ?? 0
    expect(Math.abs(Date.now() / 1000 - oldest)).toBeLessThan(15)
    const collected = (await metricOf(rig.client, 'millrace_collector_last_success_timestamp_seconds')) ?? 0
    expect(Math.abs(Date.now() / 1000 - collected)).toBeLessThan(10)
    gate.resolve()
    await rig.client.until(namespace, 'mail', { succeeded: 3 })
  })

  it('labels nothing with an id', async () => {
    const text = await (await fetch(`${rig.client.url}/metrics`)).text()
    expect(text).not.toMatch(/job_[0-9a-f]{19}/)
  })
})

describe('an app', () => {
  it('lists its routes in /openapi.json', async () => {
    const { body } = await rig.client.call<{ openapi: string; paths: Record<string, object> }>('GET', '/openapi.json')
    expect(body.openapi).toMatch(/^3\./)
    const routes = Object.keys(ACCESS.dispatcher).map((route) => route.replace(/^\S+ /, '').replace(/:(\w+)/g, '{$1}'))
    const ofTools = ['/livez', '/readyz', '/metrics', '/openapi.json']
    const described = new Set(routes.filter((path) => !ofTools.includes(path)))
    expect(Object.keys(body.paths).sort()).toEqual([...described].sort())
    expect(body.paths['/jobs']).toHaveProperty('post.requestBody')
  })

  it('is ready and alive', async () => {
    expect((await rig.client.call('GET', '/readyz')).body).toEqual({ status: 'ready' })
    expect((await rig.client.call('GET', '/livez')).body).toEqual({ status: 'alive' })
  })

  it('logs a failed attempt with the job and the trace, and never the payload', async () => {
    const redis = await startRedis()
    const { process, client } = await startDispatcherProcess(redis.url)
    await applyTo(client, 'logged', [{ name: 'mail', retries: 1 }], rig.receiver.url)
    rig.receiver.script(pathOf('logged', 'mail'), { status: 500 })
    const traceId = '4bf92f3577b34da6a3ce929d0e0e4736'
    const { body } = await client.call<{ id: string }>('POST', '/jobs', {
      body: { namespace: 'logged', queue: 'mail', data: { secret: 'do-not-log' } },
      headers: { traceparent: `00-${traceId}-00f067aa0ba902b7-01` },
    })
    await client.until('logged', 'mail', { dead: 1 })
    await process.stop()
    const entries = process.lines().map((line) => JSON.parse(line) as Record<string, unknown>)
    const known = { jobId: body.id, trace_id: traceId, queue: 'logged/mail', reason: 'http_status', status: 500 }
    expect(entries.filter(({ event }) => String(event).startsWith('job.'))).toMatchObject([
      { ...known, event: 'job.retry', level: 'warn', attempt: 1 },
      { ...known, event: 'job.dead', level: 'error', attempt: 2 },
    ])
    expect(process.output()).not.toContain('do-not-log')
    await redis.stop()
  })
})

describe('a dispatcher that cannot start', () => {
  const run = async (env: Record<string, string>) => {
    const child = await startProcess({ file: MAIN, env })
    const exit = await child.exited
    return { ...exit, output: child.output() }
  }

  it('because its port is taken names the variable, and has not touched a job', async () => {
    const namespace = await rig.service([{ name: 'mail' }])
    const gate = Promise.withResolvers<void>()
    rig.receiver.script(pathOf(namespace, 'mail'), () => gate.promise.then(() => ({})))
    const id = await rig.client.enqueue(namespace, 'mail')
    await rig.receiver.waitFor(pathOf(namespace, 'mail'), 1)
    const redis = rig.redis.client()
    const consumers = await redis.zrange('{p0}:consumers', '0', '-1')
    const port = String(rig.dispatcher.port)
    const { code, output } = await run({ REDIS_URL: rig.redis.url, MILLRACE_DISPATCHER_PORT: port })
    expect(code).toBe(1)
    expect(output).toContain(`Port ${port} on 127.0.0.1 is taken`)
    expect(output).toContain('MILLRACE_DISPATCHER_PORT=')
    expect(output).not.toMatch(/\n\s+at /)
    expect(await redis.zrange('{p0}:consumers', '0', '-1'), 'it never joined').toEqual(consumers)
    gate.resolve()
    await rig.client.until(namespace, 'mail', { succeeded: 1 })
    expect((await eventsOf(rig.redis, id)).map((event) => event.type)).not.toContain('job.taken_over')
  })

  it('because of its configuration lists all mistakes at once', async () => {
    const { code, output } = await run({
      REDIS_URL: 'localhost:6379',
      MILLRACE_DISPATCHER_PORT: 'high',
      MILLRACE_LEASE_MS: '5',
      MILLRACE_SERVICE_URL_TEMPLATE: 'http://host',
    })
    expect(code).toBe(1)
    for (const name of ['REDIS_URL', 'MILLRACE_DISPATCHER_PORT', 'MILLRACE_LEASE_MS', 'MILLRACE_SERVICE_URL_TEMPLATE'])
      expect(output).toMatch(new RegExp(`^ {2}${name}: .* \\(got "`, 'm'))
    expect(output).not.toMatch(/\n\s+at /)
  })

  describe('on a Redis that is not fit for it', () => {
    let unfit: RedisServer
    beforeAll(async () => {
      unfit = await startRedis({ maxmemoryPolicy: 'allkeys-lru' })
    })
    afterAll(() => unfit.stop())

    it('names the policy that may drop jobs, and the other number of partitions', async () => {
      const port = String(await freePort())
      const evicting = await run({ REDIS_URL: unfit.url, MILLRACE_DISPATCHER_PORT: port })
      expect(evicting.code).toBe(1)
      expect(evicting.output).toMatch(/maxmemory-policy allkeys-lru.*CONFIG SET maxmemory-policy noeviction/)
      const partitions = await run({
        REDIS_URL: rig.redis.url,
        MILLRACE_DISPATCHER_PORT: port,
        MILLRACE_PARTITIONS: '4',
      })
      expect(partitions.code).toBe(1)
      expect(partitions.output).toContain('MILLRACE_PARTITIONS=1')
    })
  })
})
