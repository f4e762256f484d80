import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { eventsPath, publish, subscribeTo } from './event-fixture.ts'
import { type Rig, startRig } from './fixture.ts'

let rig: Rig
beforeAll(async () => {
  rig = await startRig({ env: { MILLRACE_EVENT_GRANTS: 'ops:*' } })
})
afterAll(() => rig.stop())

describe("the platform's own events", () => {
  it('are heard by their own namespace, and are no news of themselves', async () => {
    const path = eventsPath('alarmed', 'letters')
    const failing = '/internal/alarmed/work'
    rig.receiver.script(failing, { status: 489 })
    rig.receiver.script(path, { status: 489 })
    const subscriptions = [
      { name: 'letters', types: ['job.dead_lettered'], retries: 0 },
      { name: 'everything', types: ['*'], retries: 0 },
    ]
    const queues = [{ name: 'work', endpoint: failing }]
    await subscribeTo(rig.client, 'alarmed', { subscriptions, url: rig.receiver.url, spec: { queues } })
    await subscribeTo(rig.client, 'ops', {
      subscriptions: [{ name: 'letters', types: ['job.dead_lettered'] }],
      url: rig.receiver.url,
    })
    await subscribeTo(rig.client, 'stranger', {
      subscriptions: [{ name: 'letters', types: ['job.*'] }],
      url: rig.receiver.url,
    })
    const id = await rig.client.enqueue('alarmed', 'work')
    const [request] = await rig.receiver.waitFor(path, 1)
    // Whom it was granted hears of it as well.
    await rig.receiver.waitFor(eventsPath('ops', 'letters'), 1)
    expect(request?.json()).toMatchObject({
      type: 'job.dead_lettered',
      source: '/millrace/alarmed',
      subject: id,
      namespace: 'alarmed',
      queue: 'work',
      data: { attempts: 1, reason: 'no_retry' },
    })
    // The alert's own letter is dead now as well, and no alert tells of it; nothing of it is published to `*`.
    await rig.client.until('alarmed', 'subscription:letters', { accepted: 1, dead: 1 })
    await publish(rig.client, 'after.all', { data: 'x' })
    await rig.receiver.waitFor(eventsPath('alarmed', 'everything'), 1)
    expect((await rig.client.counts('alarmed', 'subscription:letters')).accepted).toBe(1)
    expect((await rig.client.counts('stranger', 'subscription:letters')).accepted).toBe(0)
  })
})
