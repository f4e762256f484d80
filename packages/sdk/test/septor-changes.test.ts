import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventually, freePort, startProcess, startReceiver } from '@millrace/testkit'
import { expect, it } from 'vitest'
import { followChanges } from '../src/changes.ts'
import { type Change, MillraceError, Septor } from '../src/index.ts'
import { NAMESPACE, startPullRig } from './pull-fixture.ts'

const QUICKLY = { baseMs: 10, maxMs: 100 }

it('hears of each row as it changes, also of what changed while the audit app was away', {
  timeout: 120_000,
}, async () => {
  const rig = await startPullRig()
  const home = mkdtempSync(join(tmpdir(), 'millrace-changes-'))
  const port = await freePort()
  const startAudit = () =>
    startProcess({
      file: new URL('../../../apps/audit/src/main.ts', import.meta.url),
      env: { REDIS_URL: rig.server.url, MILLRACE_AUDIT_PORT: String(port), MILLRACE_HOME: home, LOG_LEVEL: 'info' },
      readyWhen: /service\.listening/,
    })
  await rig.declare('mail')
  let audit = await startAudit()
  const septor = new Septor({ apiUrl: `http://127.0.0.1:${port}`, namespace: NAMESPACE, backoff: QUICKLY })
  const ending = new AbortController()
  const heard: Change[] = []
  const listening = (async () => {
    // From the beginning, so that it makes no difference which of the two was first.
    const all = septor.changes({ models: ['jobs'], queue: 'mail', cursor: 's', signal: ending.signal })
    for await (const change of all) heard.push(change)
  })()
  const hears = (id: string | undefined) =>
    eventually(() => heard.find(({ row }) => row.id === id), { what: `${id} to be heard of` })

  const [first] = await rig.add('mail', [{ n: 1 }])
  expect(await hears(first)).toMatchObject({ kind: 'job', row: { namespace: NAMESPACE, state: 'waiting' } })
  await audit.kill()
  const [second] = await rig.add('mail', [{ n: 2 }])
  audit = await startAudit()
  const { cursor } = await hears(second)
  ending.abort()
  await listening

  for await (const change of septor.changes({ models: ['jobs'], cursor: 's' })) {
    expect(change.row.id).toBe(first)
    break
  }
  const [third] = await rig.add('mail', [{ n: 3 }])
  for await (const change of septor.changes({ models: ['jobs'], cursor })) {
    expect(change.row.id, 'behind the place that was kept').toBe(third)
    break
  }
  await audit.stop()
  await rig.stop()
  rmSync(home, { recursive: true })
})

it('asks with its key for what is wanted, and again from its place after a 503 and after a stream that ended', async () => {
  const service = await startReceiver()
  const stream = (text: string) => ({ headers: { 'content-type': 'text/event-stream' }, body: text })
  service.script(
    '/v1/stream',
    { status: 503, headers: { 'retry-after': '0' } },
    stream('id: s0.1\nevent: begin\ndata: {}\n\n: still there\n\nid: s0.2\nevent: tick\ndata: {"id":"t1"}\n\n'),
    stream(
      'id: s0.2\nevent: begin\ndata: {}\n\nid: s0.3\nevent: tick\ndata: {"id":"t2"}\n\nid: s0.3\nevent: cut\ndata: {}\n\n',
    ),
    { status: 403, body: { code: 'auth.forbidden', detail: 'no auditor' } },
  )
  const septor = new Septor({ apiUrl: service.url, namespace: 'billing', apiKey: 'secret', backoff: QUICKLY })
  const heard: Change[] = []
  const listen = async () => {
    for await (const change of septor.changes({ models: ['ticks', 'jobs'], state: 'missed' })) heard.push(change)
  }
  const refusal = await listen().catch((error: unknown) => error)
  expect(refusal).toBeInstanceOf(MillraceError)
  expect((refusal as MillraceError).code).toBe('auth.forbidden')
  expect(heard.map(({ kind, cursor, row }) => [kind, cursor, row.id])).toEqual([
    ['tick', 's0.2', 't1'],
    ['tick', 's0.3', 't2'],
  ])
  const asked = service.requests('/v1/stream').map(({ url }) => new URL(url, service.url).searchParams)
  expect(asked.map((query) => query.get('cursor'))).toEqual([null, null, 's0.2', 's0.3'])
  expect(Object.fromEntries(asked[0]!)).toEqual({ namespace: 'billing', models: 'ticks,jobs', state: 'missed' })
  expect(service.requests()[0]?.headers.authorization).toBe('Bearer secret')
  await service.stop()
})

it('takes a connection on which nothing comes for one that is gone, and asks again from its place', async () => {
  const asked: (string | null)[] = []
  const server = createServer(({ url = '' }, response) => {
    asked.push(new URL(url, 'http://x').searchParams.get('cursor'))
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    response.write(`id: s0.${asked.length}\nevent: tick\ndata: {}\n\n`)
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1/stream`
  const source = { url, headers: {}, namespace: 'shop', backoff: QUICKLY, requestTimeoutMs: 5000, silenceMs: 100 }
  for await (const { cursor } of followChanges(source, {})) if (cursor === 's0.3') break
  expect(asked).toEqual([null, 's0.1', 's0.2'])
  server.closeAllConnections()
  server.close()
})
