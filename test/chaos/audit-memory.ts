import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { claim, createPartition, enqueue, lease, openQueues, type Partition, settle } from '@millrace/streams'
import { startProcess, startRedis } from '@millrace/testkit'
import { residentMib } from './memory.ts'

const HELP = `node test/chaos/audit-memory.ts [--minutes 7] [--rate 300] [--snapshots folder]

An audit app alone, with jobs going through the log: what it has in memory, four times a minute. With --snapshots it writes two of
its heap, after a third and at the end, to be compared in a browser's developer tools.`

const SAMPLE_MS = 15_000
const BATCH = 50
const ADDRESS = 'shop/mail'
const CONSUMER = 'audit-memory'
const MIB = 1024 * 1024
/** One that ends no app: SIGUSR2 does. */
const SNAPSHOT_SIGNAL = 'SIGWINCH'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '7' },
    rate: { type: 'string', default: '300' },
    snapshots: { type: 'string' },
    help: { type: 'boolean', short: 'h', default: false },
  },
})
if (values.help) console.log(HELP)
else await watch({ minutes: Number(values.minutes), rate: Number(values.rate), snapshots: values.snapshots })

async function watch(options: { minutes: number; rate: number; snapshots: string | undefined }): Promise<void> {
  const { minutes, rate, snapshots } = options
  const redis = await startRedis()
  const home = await mkdtemp(join(tmpdir(), 'millrace-audit-memory-'))
  const app = await startProcess({
    file: new URL('../../apps/audit/src/main.ts', import.meta.url),
    env: {
      ...{ REDIS_URL: redis.url, MILLRACE_HOME: home, MILLRACE_AUDIT_PORT: '0', MILLRACE_LOG_KEEP: '1000' },
      NODE_OPTIONS: snapshots && `--heapsnapshot-signal=${SNAPSHOT_SIGNAL} --diagnostic-dir=${snapshots}`,
    },
  })
  const { port } = JSON.parse(await app.waitForLine(/service\.listening/)) as { port: number }
  const partition = createPartition(redis.client(), 0)
  await openQueues(partition, [{ address: ADDRESS }])
  await lease(partition, { action: 'join', consumer: CONSUMER, ttlMs: 2 * minutes * 60_000 })

  const startedAt = performance.now()
  const passed = () => performance.now() - startedAt
  const shots = snapshots ? [minutes / 3, minutes - 0.5] : []
  console.log('minutes     jobs   resident  heap  trail (MiB)')
  for (let jobs = 0, samples = 0; passed() < minutes * 60_000; ) {
    if (jobs > (passed() / 1000) * rate) await sleep(50)
    else jobs += await passThrough(partition)
    if (passed() < samples * SAMPLE_MS) continue
    samples++
    if (shots[0] !== undefined && passed() > shots[0] * 60_000) {
      shots.shift()
      app.signal(SNAPSHOT_SIGNAL)
    }
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text()
    const heap = Number(/^nodejs_heap_size_used_bytes\S* (\S+)/m.exec(metrics)?.[1]) / MIB
    const trail = (await stat(join(home, 'audit', 'audit.sqlite'))).size / MIB
    const figures = [residentMib(app.pid) ?? 0, heap, trail].map((mib) => mib.toFixed(0).padStart(6))
    console.log((passed() / 60_000).toFixed(2).padStart(7), String(jobs).padStart(8), ...figures)
  }
  await app.stop()
  await redis.stop()
  await rm(home, { recursive: true, force: true })
}

/** A batch of jobs that are enqueued, delivered and done; how many. */
async function passThrough(partition: Partition): Promise<number> {
  const data = JSON.stringify({ text: 'x'.repeat(200) })
  await enqueue(partition, new Array(BATCH).fill({ address: ADDRESS, lane: 'normal', data }))
  const place = { consumer: CONSUMER, address: ADDRESS }
  const claimed = await claim(partition, { ...place, concurrency: BATCH, want: BATCH })
  if (claimed.kind !== 'claimed') throw new Error(`expected to claim ${BATCH} jobs, got ${claimed.kind}`)
  const settlement = { kind: 'succeeded', status: 200, durationMs: 5 } as const
  await settle(partition, { ...place, attempts: claimed.jobs.map((job) => ({ job, settlement })) })
  return BATCH
}
