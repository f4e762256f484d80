import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { promisify } from 'node:util'
import { CloudEvent, emitterFor, HTTP, httpTransport, Mode } from 'cloudevents'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventsPath, publish, subscribeTo } from './event-fixture.ts'
import { type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig()
})
afterAll(() => rig.stop())

describe('the CloudEvents SDK', () => {
  it.each([Mode.STRUCTURED, Mode.BINARY])('publishes in %s mode, and reads what is delivered', async (mode) => {
    const namespace = `sdk-${mode}`
    await subscribeTo(rig.client, namespace, {
      subscriptions: [{ name: 'all', types: [`${namespace}.sent`] }],
      url: rig.receiver.url,
    })
    const event = new CloudEvent({
      type: `${namespace}.sent`,
      source: '/sdk',
      subject: 'order/7',
      datacontenttype: 'application/json',
      data: { cents: 4200, lines: [{ sku: 'ä' }] },
      myext: 'value',
    })
    await emitterFor(httpTransport(`${rig.client.url}/events`), { mode })(event)
    const [request] = await rig.receiver.waitFor(eventsPath(namespace, 'all'), 1)
    const read = HTTP.toEvent({ headers: request!.headers, body: request!.body }) as CloudEvent<unknown>
    expect(read.validate()).toBe(true)
    expect(read.toJSON()).toEqual(event.toJSON())
  })

  it('reads what the platform says', async () => {
    await subscribeTo(rig.client, 'sdk-own', {
      subscriptions: [{ name: 'all', types: ['job.enqueued'] }],
      url: rig.receiver.url,
      spec: { queues: [{ name: 'work', endpoint: '/internal/sdk-own/work' }] },
    })
    await rig.client.enqueue('sdk-own', 'work', { data: { a: 1 } })
    const [request] = await rig.receiver.waitFor(eventsPath('sdk-own', 'all'), 1)
    const read = HTTP.toEvent({ headers: request!.headers, body: request!.body }) as CloudEvent<{ data: unknown }>
    expect(read.validate()).toBe(true)
    expect(read).toMatchObject({
      source: '/millrace/sdk-own',
      namespace: 'sdk-own',
      queue: 'work',
      data: { data: { a: 1 } },
    })
  })
})

it('can be read by a consumer with redis-cli, as docs/redis-keys.md has it', async () => {
  const page = readFileSync(new URL('../../../docs/redis-keys.md', import.meta.url), 'utf8')
  const [create, read, ack] = [...page.matchAll(/^redis-cli (.*)$/gm)].map(([, line]) => line) as [
    string,
    string,
    string,
  ]
  // The page's lines as they stand, in a shell; which server is ours to say.
  const run = promisify(execFile)
  const cli = async (line: string) => (await run('sh', ['-c', `redis-cli -p ${rig.redis.port} ${line}`])).stdout.trim()
  expect(await cli(create)).toBe('OK')
  const { id } = await publish(rig.client, 'cli.sent', { data: { n: 1 } })
  const lines = (await cli(read)).split('\n')
  const at = lines.indexOf('cli.sent')
  const [position, [kind, type, namespace, queue, entity, data]] = [
    lines[at - 2] as string,
    lines.slice(at - 1, at + 5),
  ]
  expect([kind, type, namespace, queue, entity]).toEqual(['event', 'cli.sent', 'default', '', '/default'])
  expect(JSON.parse(data as string).data).toEqual({ n: 1 })
  expect(parseInt(id.slice(4, 15), 16)).toBe(Number(position.split('-')[0]))
  expect(await cli(ack.replace(/\S+$/, position))).toBe('1')
})
