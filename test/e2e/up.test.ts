import type { QueueCounts } from '@millrace/contracts'
import { type ChildHandle, eventually, startRedis } from '@millrace/testkit'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { findPlace, getJson, type Place, runCommand, startUp } from './platform.ts'
import { killTree, processesOf } from './process-table.ts'

let place: Place
let running: ChildHandle[] = []

beforeEach(async () => {
  place = await findPlace()
})
afterEach(async () => {
  await Promise.all(running.map((child) => child.stop()))
  running = []
  await place.remove()
})

const start = async (args: readonly string[] = [], where = place) => {
  const child = await startUp(where, args)
  running.push(child)
  return child
}
const exampleQueue = async (): Promise<QueueCounts> => {
  const { queues } = await getJson<{ queues: QueueCounts[] }>(
    `${place.urls.dispatcher}/queues?namespace=dependency-audit`,
  )
  return queues.find(({ queue }) => queue === 'audit-package') as QueueCounts
}
const live = ({ waiting, scheduled, running }: QueueCounts) => waiting + scheduled + running
const numberIn = (output: string, row: string) => Number(new RegExp(`^  ${row}\\s+(\\d+)`, 'm').exec(output)?.[1])

describe('millrace up --example', { timeout: 240_000 }, () => {
  it('runs the whole story, drains at Ctrl-C with exit code 0, and goes on with its data when started again', async () => {
    const first = await start(['--example'])
    await first.waitForLine(/Ctrl-C drains/, 90_000)
    const output = first.output()
    const queue = await exampleQueue()
    expect(numberIn(output, 'fired')).toBe(1)
    expect(numberIn(output, 'fanned out')).toBe(queue.accepted)
    expect(queue.accepted).toBeGreaterThan(150)
    expect(numberIn(output, 'delivered') + numberIn(output, 'dead-lettered')).toBe(queue.accepted)
    expect(output).toMatch(/chain verified {2}yes/)
    expect(output).toMatch(/^ {2}keys +none needed, so only this machine is let in/m)
    for (const url of Object.values(place.urls).slice(0, 3)) expect((await fetch(`${url}/readyz`)).status).toBe(200)

    first.signal('SIGINT')
    expect(await first.exited).toEqual({ code: 0, signal: null })
    expect(first.output()).toMatch(/Stopped/)

    const second = await start()
    expect((await exampleQueue()).accepted).toBe(queue.accepted)
    const verdict = await runCommand(place, 'audit', 'verify', '--json')
    expect(verdict.code).toBe(0)
    expect(JSON.parse(verdict.stdout)).toMatchObject({ valid: true })
    second.signal('SIGTERM')
    expect((await second.exited).code).toBe(0)
  })

  it.each([
    ['it alone', (child: ChildHandle) => child.kill()],
    ['it and all its children', async (child: ChildHandle) => killTree(child.pid)],
  ])('killed with kill -9 in the middle (%s) and started again finishes what was accepted', async (_name, kill) => {
    const first = await start(['--example'])
    const before = await eventually(async () => {
      const queue = await exampleQueue()
      return queue.accepted > 30 && live(queue) > 0 && queue
    })
    await kill(first)

    await start(['--example'])
    const after = await eventually(
      async () => {
        const queue = await exampleQueue()
        return queue.accepted > before.accepted && live(queue) === 0 && queue
      },
      { timeoutMs: 60_000, what: 'everything accepted is finished' },
    )
    expect(after.succeeded + after.dead).toBe(after.accepted)
    const verdict = await runCommand(place, 'audit', 'verify')
    expect(verdict.output).toMatch(/^intact/)
  })

  it('restarts an app that is killed', async () => {
    const child = await start()
    const scheduler = processesOf(child.pid).find(({ command }) =>
      /^\S*node \S*apps\/scheduler\/src\/main\.ts$/.test(command),
    )
    process.kill(scheduler?.pid as number, 'SIGKILL')
    await child.waitForLine(/the scheduler ended with code 137 and is started again/)
    await eventually(async () => (await fetch(`${place.urls.scheduler}/readyz`)).ok, { timeoutMs: 60_000 })
  })
})

describe('millrace up', { timeout: 240_000 }, () => {
  it('runs side by side with another on other ports and another folder', async () => {
    const other = await findPlace()
    try {
      await Promise.all([start(), start([], other)])
      const services = await Promise.all([place, other].map(({ urls }) => getJson(`${urls.dispatcher}/services`)))
      expect(services).toEqual([{ services: [] }, { services: [] }])
      await Promise.all(running.map((child) => child.stop()))
    } finally {
      await other.remove()
    }
  })

  it.each(['MILLRACE_DISPATCHER_PORT', 'MILLRACE_SCHEDULER_PORT', 'MILLRACE_AUDIT_PORT'])(
    'names %s when the port is taken',
    async (variable) => {
      const redis = await startRedis()
      try {
        place.env[variable] = String(redis.port)
        const { code, output } = await runCommand(place, 'up')
        expect(code).toBe(1)
        expect(output).toContain(`Port ${redis.port}`)
        expect(output).toContain(`Set ${variable} to a free port`)
        expect(output).not.toMatch(/^\s+at /m)
      } finally {
        await redis.stop()
      }
    },
  )

  it('uses the Redis of REDIS_URL instead of an embedded one', async () => {
    const redis = await startRedis()
    try {
      place.env.REDIS_URL = redis.url
      const child = await start()
      expect(child.output()).toContain(redis.url)
      expect(await redis.client().hget('{reg}:meta', 'partitions')).toBe('1')
      await child.stop()
    } finally {
      await redis.stop()
    }
  })

  it('says what is wrong with the configuration, all of it at once', async () => {
    place.env.MILLRACE_DISPATCHER_PORT = 'eighty'
    place.env.REDIS_URL = 'localhost'
    const { code, output } = await runCommand(place, 'up')
    expect(code).toBe(1)
    expect(output).toMatch(/MILLRACE_DISPATCHER_PORT: expected a port number \(got "eighty"\)/)
    expect(output).toMatch(/REDIS_URL: expected redis:\/\//)
  })
})
