import type { AuditEvent, Problem } from '@millrace/contracts'
import { type ChildHandle, eventually, type Receiver, startReceiver } from '@millrace/testkit'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { ACTIONS, type Action, type App, OTHERS, type World } from './operator-actions.ts'
import { findPlace, getJson, type Place, startUp } from './platform.ts'

let place: Place
let platform: ChildHandle
let service: Receiver
let world: World

beforeAll(async () => {
  service = await startReceiver()
  service.script('/internal/mail', { status: 489 })
  place = await findPlace()
  platform = await startUp(place)
  const endpoint = '/internal/mail'
  world = {
    place,
    async post(path, body, app = 'dispatcher') {
      const { status, answer } = await send(app, 'POST', path, body)
      expect(status, `${path}: ${JSON.stringify(answer)}`).toBeLessThan(300)
      return answer
    },
    apply: (spec) =>
      send('dispatcher', 'PUT', '/services/shop', {
        manifest: { metadata: { name: 'shop' }, spec },
        url: service.url,
        who: 'ada',
      }),
    delayed: async () =>
      (await world.post('/jobs', { namespace: 'shop', queue: 'mail', data: 1, delayMs: 3_600_000 })).id as string,
    async dead() {
      const { id } = await world.post('/jobs', { namespace: 'shop', queue: 'mail', data: 1 })
      await eventually(async () => (await fetch(`${place.urls.dispatcher}/dead-letters/${id}`)).ok)
      return id as string
    },
  }
  await world.apply({
    queues: [
      { name: 'mail', endpoint, retries: 0 },
      { name: 'other', endpoint, retries: 0 },
    ],
    schedules: [{ name: 'hourly', cron: '0 * * * *', endpoint: '/internal/hourly' }],
  })
  // A schedule is known when it is planned, a moment after it was declared.
  await eventually(async () => {
    const { schedules } = await getJson<{ schedules: { nextAt?: string }[] }>(`${place.urls.scheduler}/schedules`)
    return schedules[0]?.nextAt !== undefined
  })
}, 90_000)
afterAll(async () => {
  await platform.stop()
  await place.remove()
  await service.stop()
})

async function send(app: App, method: string, path: string, body: Record<string, unknown>) {
  const response = await fetch(place.urls[app] + path, {
    method,
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  const text = await response.text()
  return { status: response.status, answer: (text === '' ? {} : JSON.parse(text)) as Record<string, unknown> }
}

async function changingRoutes(app: App): Promise<string[]> {
  const { paths } = await getJson<{ paths: Record<string, object> }>(`${place.urls[app]}/openapi.json`)
  return Object.entries(paths).flatMap(([path, methods]) =>
    Object.keys(methods)
      .filter((method) => method !== 'get' && method !== 'head')
      .map((method) => `${app} ${method.toUpperCase()} ${path}`),
  )
}

function nameOf({ app, route }: Action): string {
  return `${app} ${route}`
}

describe('every route that changes something', { timeout: 240_000 }, () => {
  it('is an action of an operator that is tried here, or is not an operator’s', async () => {
    const routes = await Promise.all((['dispatcher', 'scheduler', 'audit'] as const).map(changingRoutes))
    expect([...ACTIONS.map(nameOf), ...Object.keys(OTHERS)].toSorted()).toEqual(routes.flat().toSorted())
  })

  it.each(ACTIONS.map((action, index) => [nameOf(action), action, index] as const))(
    '%s is in the trail with who and why, and refused without',
    async (_name, { app, route, leaves, destructive, ask }, index) => {
      const [method] = route.split(' ') as [string]
      const { path, body = {} } = await ask(world)
      const by = { who: `operator-${index}`, why: `reason ${index}` }
      const refusal = async (given: Record<string, unknown>) => {
        const { status, answer } = await send(app, method, path, { ...body, ...given })
        return [status, (answer as unknown as Problem).errors?.map(({ pointer }) => pointer)]
      }
      expect(await refusal({ why: by.why })).toEqual([422, ['/who']])
      if (destructive) expect(await refusal({ who: by.who })).toEqual([422, ['/why']])

      const { status, answer } = await send(app, method, path, { ...body, ...by })
      expect(status, JSON.stringify(answer)).toBeLessThan(300)
      const record = await eventually(async () => {
        const { data } = await getJson<{ data: { events: AuditEvent[] } }>(
          `${place.urls.audit}/v1/events?who=${by.who}&eventType=${leaves}`,
        )
        return data.events[0]
      })
      expect(record).toMatchObject({ eventType: leaves, metadata: by })
    },
  )

  it('fires by cron, outside production, as a local test', async () => {
    await fetch(`${place.urls.scheduler}/__scheduled?cron=${encodeURIComponent('0 * * * *')}`)
    await eventually(async () => {
      const who = encodeURIComponent('local test')
      const { data } = await getJson<{ data: { events: AuditEvent[] } }>(`${place.urls.audit}/v1/events?who=${who}`)
      return data.events.some(({ eventType }) => eventType === 'schedule.triggered')
    })
  })
})
