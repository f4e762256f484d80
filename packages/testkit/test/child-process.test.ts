import { existsSync } from 'node:fs'
import { describe, expect, it, vi } from 'vitest'
import { eventually, startProcess } from '../src/index.ts'

const file = new URL('./fixtures/child.mjs', import.meta.url)

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

describe('startProcess', () => {
  it('waits until the child says that it is ready, and lets it drain at stop', async () => {
    const child = await startProcess({ file, readyWhen: /^ready$/ })
    expect(child.lines()).toContain('to stderr')
    expect(child.stdout()).not.toContain('to stderr')
    expect(await child.stop()).toEqual({ code: 7, signal: null })
    expect(await child.waitForLine(/draining/)).toBe('draining')
  })

  it('passes on what a program needs to run and what it was given, and nothing else', async () => {
    vi.stubEnv('MILLRACE_HOME', '/somewhere')
    const child = await startProcess({ file, env: { GIVEN: '1', NOT_GIVEN: undefined }, readyWhen: /^ready$/ })
    vi.unstubAllEnvs()
    const names = (await child.waitForLine(/^env /)).slice(4).split(',')
    expect(names).toContain('PATH')
    expect(names).toContain('GIVEN')
    expect(names).not.toContain('NOT_GIVEN')
    expect(names).not.toContain('MILLRACE_HOME')
    expect(await child.kill()).toEqual({ code: null, signal: 'SIGKILL' })
  })

  it('reports the output of a child that ends before it is ready', async () => {
    const starting = startProcess({ file, args: ['--fail'], readyWhen: /^ready$/ })
    await expect(starting).rejects.toThrow(/ended with \{"code":3.*\n.*to stderr/s)
  })

  it('ends a child that was not ready in time', async () => {
    const silent = startProcess({ file, readyWhen: /never said/, readyTimeoutMs: 5000 })
    const message = await silent.then(String, String)
    expect(message).toMatch(/ran for 5000 ms/)
    const [, pid] = /^pid (\d+)$/m.exec(message) ?? []
    expect(pid, message).toBeDefined()
    expect(isAlive(Number(pid))).toBe(false)
  })

  it('kills one process with kill, and its descendants with killGroup', async () => {
    const child = await startProcess({ file, args: ['--parent'], readyWhen: /^ready$/ })
    const grandchild = Number((await child.waitForLine(/^grandchild/)).split(' ')[1])
    await child.kill()
    expect(isAlive(grandchild)).toBe(true)
    await child.killGroup()
    await eventually(() => !isAlive(grandchild), { what: 'the grandchild to die' })
  })

  it('leaves nothing behind when the process that started it is killed', async () => {
    const outer = await startProcess({ file: new URL('./fixtures/starter.ts', import.meta.url), readyWhen: /^ready$/ })
    const pids = (await outer.waitForLine(/^pids/)).split(' ').slice(1).map(Number)
    expect(pids.map(isAlive)).toEqual([true, true])
    await outer.kill()
    await eventually(() => !pids.some(isAlive), { what: 'the redis-server and the child to die' })
    const folder = (await outer.waitForLine(/^folder/)).slice('folder '.length)
    await eventually(() => !existsSync(folder), { what: 'the folder of the redis-server to be removed' })
  })
})
