import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import { compare, type Measure } from '../measure.ts'
import { processorMicros } from '../processor-time.ts'
import { type App, registerService, startApp, whenReady, withStore } from '../sides/millrace.ts'

const APPS = ['dispatcher', 'scheduler', 'audit'] as const
const EXAMPLE = new URL('../../examples/dependency-audit/catalog-info.yaml', import.meta.url)
/** With the queue and the schedule of the example's manifest, a hundred. */
const QUEUES = Array.from({ length: 98 }, (_, index) => `queue-${index}`)
/** After the last change, until everything that it woke sleeps again. */
const SETTLE_MS = 5000

/** Processor time of all apps and Redis while nothing is to be done, over the time that passes. */
export const idle: Measure = {
  name: 'idle',
  about: 'processor time of an idle platform with 100 queues, as a share of one core',
  appendfsync: ['always'],
  run: ({ appendfsync, size, say }) =>
    withStore(appendfsync, async (store) => {
      const home = await mkdtemp(join(tmpdir(), 'millrace-bench-'))
      const url = 'http://127.0.0.1:9'
      const apps = await Promise.all(APPS.map((name) => startApp(store, { name, env: { MILLRACE_HOME: home } })))
      await Promise.all(apps.map(whenReady))
      await registerService(store, { namespace: 'bench', url, queues: QUEUES, concurrency: 5 })
      await applyExample(apps[0] as App, url)
      await delay(size(SETTLE_MS, 500))
      const pids = {
        ...Object.fromEntries(APPS.map((name, index) => [name, apps[index]?.pid ?? 0])),
        redis: store.redis.pid,
      }
      const lastMs = size(30_000, 2000)
      say(`watching for ${lastMs / 1000} s`)
      const spent = await watch(pids, lastMs)
      await Promise.all(apps.map((app) => app.stop()))
      await rm(home, { recursive: true, force: true })
      const share = Object.values(spent).reduce((sum, each) => sum + each, 0)
      const names = { what: 'idle platform, 100 queues', peerName: 'a core', unit: 'cores', target: { atMost: 0.02 } }
      return [compare({ ...names, ours: { value: share, parts: spent }, peer: { value: 1 } })]
    }),
}

async function applyExample({ url }: App, serviceUrl: string): Promise<void> {
  const manifest = await readFile(EXAMPLE, 'utf8')
  const response = await fetch(`${url}/services/dependency-audit`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ manifest, url: serviceUrl, who: 'bench' }),
  })
  if (!response.ok) throw new Error(`the example's manifest was refused: ${await response.text()}`)
}

/** The share of a core that each process took. */
async function watch(pids: Record<string, number>, lastMs: number): Promise<Record<string, number>> {
  const read = () => Object.entries(pids).map(([name, pid]) => [name, processorMicros(pid) ?? Number.NaN] as const)
  const before = Object.fromEntries(read())
  const startMs = performance.now()
  await delay(lastMs)
  const passedMicros = (performance.now() - startMs) * 1000
  return Object.fromEntries(read().map(([name, micros]) => [name, (micros - (before[name] ?? 0)) / passedMicros]))
}
