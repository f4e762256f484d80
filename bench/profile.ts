import { mkdir, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Redis } from 'ioredis'
import type { Appendfsync } from './measure.ts'
import { readProfile } from './profile-summary.ts'
import { markdown, micros } from './report.ts'
import { fill, registerService, withStore } from './sides/millrace.ts'
import { DATA } from './sides/payload.ts'
import { pushRate, startPushWorker, TAIL } from './sides/push.ts'

const FOLDER = fileURLToPath(new URL('./profile/', import.meta.url))
const SKIP = 50_000

/** Where the time of a pushed job goes: a processor profile of the dispatcher, and what each command cost Redis. */
export async function profilePush({ appendfsync, count }: { appendfsync: Appendfsync; count: number }): Promise<void> {
  const folder = join(FOLDER, appendfsync)
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  const worker = await startPushWorker()
  await withStore(appendfsync, async (store) => {
    const jobs = SKIP + count + TAIL
    await registerService(store, { namespace: 'bench', url: worker.url, queues: ['no-op'], concurrency: 100 })
    await fill(store, { address: 'bench/no-op', count: jobs, data: JSON.stringify(DATA) })
    await store.partition.redis.config('RESETSTAT')
    const env = { NODE_OPTIONS: `--cpu-prof --cpu-prof-dir=${folder}` }
    const figure = await pushRate(worker, store, { skip: SKIP, count, env })
    console.log(`\nappendfsync ${appendfsync}, under the profiler: ${Math.round(figure.value)} jobs/s`)
    console.log(`processor time per job, µs: ${micros(figure)}\n`)
    console.log(await commandTable(store.partition.redis, jobs))
    const [file = ''] = (await readdir(folder)).filter((name) => name.endsWith('.cpuprofile'))
    const { byOrigin, byFunction } = await readProfile(join(folder, file), jobs)
    console.log(`\n${markdown([['dispatcher, by origin', 'µs per job'], ...byOrigin])}`)
    console.log(`\n${markdown([['dispatcher, by function', 'µs per job'], ...byFunction])}`)
    console.log(`\nthe whole profile, for the inspector of a browser: ${join(folder, file)}`)
  })
  await worker.stop()
}

/** `INFO commandstats` per job; the time of a script holds that of the commands it calls. */
async function commandTable(redis: Redis, jobs: number): Promise<string> {
  const info = await redis.info('commandstats')
  const rows = [...info.matchAll(/^cmdstat_([^:]+):calls=(\d+),usec=(\d+)/gm)].map(([, name = '', calls, usec]) => ({
    ...{ name, calls: Number(calls), usec: Number(usec) },
  }))
  const lines = rows
    .filter(({ usec }) => usec / jobs >= 0.05)
    .sort((a, b) => b.usec - a.usec)
    .map(({ name, calls, usec }) => [name, String(calls), (usec / calls).toFixed(2), (usec / jobs).toFixed(2)])
  return markdown([['command', 'calls', 'µs a call', 'µs per job'], ...lines])
}
