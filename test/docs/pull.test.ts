import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { freePort, startProcess, startRedis } from '@millrace/testkit'
import { expect, it } from 'vitest'
import { blockOf, readPage } from './pages.ts'

const page = readPage('docs/pull.md')
const DISPATCHER = new URL('../../apps/dispatcher/src/main.ts', import.meta.url)

it('runs the examples of the page on pull consumers', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-docs-'))
  symlinkSync(fileURLToPath(new URL('../../node_modules', import.meta.url)), join(folder, 'node_modules'))
  const file = join(folder, 'worker.mjs')
  writeFileSync(file, blockOf(page, 'worker.mjs').text)
  const redis = await startRedis()
  const port = await freePort()
  const send = async (method: string, path: string, body: unknown) => {
    const headers = { 'content-type': 'application/json' }
    const response = await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, body: JSON.stringify(body) })
    expect(response.ok, await response.text()).toBe(true)
  }
  const env = { REDIS_URL: redis.url, MILLRACE_DISPATCHER_PORT: String(port) }
  const dispatcher = await startProcess({ file: DISPATCHER, env, readyWhen: /dispatcher\.ready/ })
  await send('PUT', '/services/shop', {
    manifest: blockOf(page, 'catalog-info.yaml').text,
    url: 'http://127.0.0.1:1',
    who: 'test',
  })
  const worker = await startProcess({ file, env: { REDIS_URL: redis.url }, readyWhen: /^taking jobs$/ })
  await send('POST', '/jobs', { namespace: 'shop', queue: 'resize-image', data: { url: 'a.png' } })
  expect(await worker.waitForLine(/^resizing/)).toBe('resizing a.png, attempt 1 of 4')
  expect(await worker.stop()).toEqual({ code: 0, signal: null })

  const subscribing = join(folder, 'subscriber.mjs')
  writeFileSync(subscribing, blockOf(page, 'subscriber.mjs').text)
  const subscriber = await startProcess({
    file: subscribing,
    env: { REDIS_URL: redis.url, IEC_QUEUE_URL: `http://127.0.0.1:${port}` },
    readyWhen: /^taking events$/,
  })
  expect(await subscriber.waitForLine(/^receipt for order\/7/)).toBe('receipt for order/7: 4200 cents, attempt 1')
  expect(await subscriber.waitForLine(/^receipt for order\/8/)).toBe('receipt for order/8: 9900 cents, attempt 2')
  const queues = `http://127.0.0.1:${port}/queues?namespace=shop`
  await expect
    .poll(async () => ((await (await fetch(queues)).json()) as { queues: unknown[] }).queues, { timeout: 60_000 })
    .toContainEqual(expect.objectContaining({ queue: 'subscription:mail-receipts', succeeded: 2, dead: 1 }))
  expect(await subscriber.stop()).toEqual({ code: 0, signal: null })
  await dispatcher.stop()
  await redis.stop()
  rmSync(folder, { recursive: true })
})
