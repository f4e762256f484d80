import { once } from 'node:events'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { json } from 'node:stream/consumers'
import { startProcess } from '@millrace/testkit'
import { afterAll, beforeAll, expect, it } from 'vitest'

const MILLRACE = new URL('../bin/millrace.mjs', import.meta.url)

const bodies: unknown[] = []
let server: Server
let url: string
beforeAll(async () => {
  server = createServer(async (request, response) => {
    bodies.push(await json(request))
    response.setHeader('content-type', 'application/json').end('{"purged":1}')
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
})
afterAll(() => void server.close())

it('takes what stands behind an option as its value, also where it looks like an option of the program', async () => {
  const args = ['queue', 'purge', 'shop', 'mail', '--url', url, '--token', '-Vx', '--why', '-V']
  const purge = await startProcess({ file: MILLRACE, args })
  expect(await purge.exited).toMatchObject({ code: 0 })
  expect(purge.stdout().trim()).toBe('1 cancelled')
  expect(bodies).toEqual([expect.objectContaining({ token: '-Vx', why: '-V' })])
})

it('teaches with --help', async () => {
  const help = await startProcess({ file: MILLRACE, args: ['queue', 'purge', '--help'] })
  expect(await help.exited).toMatchObject({ code: 0 })
  expect(help.stdout()).toMatch(/^Usage: millrace queue purge [\s\S]*\$ millrace queue purge my-service/)
})

it('says its version', async () => {
  const version = await startProcess({ file: MILLRACE, args: ['-V'] })
  expect(await version.exited).toMatchObject({ code: 0 })
  expect(version.stdout()).toMatch(/^\d+\.\d+\.\d+\n$/)
})
