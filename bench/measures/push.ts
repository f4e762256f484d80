import { queueDefinitionSchema } from '@millrace/contracts'
import { createPartitions, enqueue, openQueues, register, registryPartition } from '@millrace/streams'
import { eventually, freePort, startProcess, startRedis } from '@millrace/testkit'
import { ask, nextMessage, startChild } from '../child.ts'
import { compare, type Measure } from '../measure.ts'

const JOBS = Number(process.env.BENCH_JOBS ?? 30_000)
const IN_FLIGHT = 100
const ADDRESS = 'bench/no-op'
const PAYLOAD = JSON.stringify({ recordId: 'rec_0123456789', note: 'x'.repeat(60) })

interface WorkerCount {
  readonly count: number
  readonly spanMs: number
}

/** Full HTTP push with claim, settle and three log events per job, against the same requests from a bare undici loop. */
export const push: Measure = {
  name: 'push',
  async run({ appendfsync }) {
    const worker = startChild('no-op-worker.ts')
    const { port } = await nextMessage<{ port: number }>(worker)
    const url = `http://127.0.0.1:${port}`
    const rate = async () => {
      const { count, spanMs } = await ask<WorkerCount>(worker, 'count')
      await ask(worker, 'reset')
      return (count / spanMs) * 1000
    }
    try {
      await runBareLoop(url)
      const peer = await rate()
      await runPush(url, appendfsync, async () => (await ask<WorkerCount>(worker, 'count')).count === JOBS)
      return compare(`HTTP push, ${IN_FLIGHT} in flight, appendfsync ${appendfsync}`, {
        ours: await rate(),
        peer,
        peerName: 'bare undici loop',
        unit: 'jobs/s',
      })
    } finally {
      worker.kill()
    }
  },
}

async function runBareLoop(url: string): Promise<void> {
  const body = JSON.stringify({
    jobId: 'job_0193a1b2c3d0000c002',
    queue: 'no-op',
    attempt: 1,
    data: JSON.parse(PAYLOAD),
  })
  const loop = startChild('bare-loop.ts', [url, String(JOBS), String(IN_FLIGHT), body])
  await nextMessage(loop)
  loop.kill()
}

/** The jobs are there before the dispatcher starts, so that only delivery is measured. */
async function runPush(url: string, appendfsync: 'always' | 'everysec', isDone: () => Promise<boolean>): Promise<void> {
  const redis = await startRedis({ appendonly: true, appendfsync })
  try {
    const client = redis.client()
    const partition = createPartitions(client, 1).of(ADDRESS)
    const queue = queueDefinitionSchema.parse({
      kind: 'queue',
      name: 'no-op',
      endpoint: '/internal/jobs/no-op',
      concurrency: IN_FLIGHT,
    })
    const service = {
      namespace: 'bench',
      url,
      version: 1,
      appliedAt: new Date().toISOString(),
      appliedBy: 'bench',
      queues: [queue],
      closing: [],
      manifest: {},
    }
    await register(registryPartition(client), { service, expectedVersion: 0, event: {} })
    await openQueues(partition, [{ address: ADDRESS }])
    for (let done = 0; done < JOBS; done += 1000) {
      await enqueue(
        partition,
        Array.from({ length: Math.min(1000, JOBS - done) }, () => ({
          address: ADDRESS,
          lane: 'normal' as const,
          data: PAYLOAD,
        })),
      )
    }
    const dispatcher = await startProcess({
      file: new URL('../../apps/dispatcher/src/main.ts', import.meta.url),
      env: {
        REDIS_URL: `unix://${redis.socketPath}`,
        MILLRACE_DISPATCHER_PORT: String(await freePort()),
        LOG_LEVEL: 'warn',
      },
    })
    await eventually(isDone, { timeoutMs: 120_000, intervalMs: 100 })
    await dispatcher.stop()
  } finally {
    await redis.stop()
  }
}
