import { startChild } from '../child.ts'
import { type Appendfsync, BOTH, compare, type Measure } from '../measure.ts'
import type { Metered } from '../meter.ts'
import type { Poster } from '../processes/poster.ts'
import { withStore } from '../sides/millrace.ts'
import { DATA } from '../sides/payload.ts'
import { type Intake, withIntake } from '../sides/post.ts'
import { inTurns, type Turn } from '../turns.ts'

/** `POST /jobs`, one job a request, against a route that parses and checks the same body and keeps nothing. */
export const intake: Measure = {
  name: 'intake',
  about: 'POST /jobs single, 64 connections, against a bare fastify route that parses the same body',
  appendfsync: BOTH,
  async run({ appendfsync, size, say }) {
    const client = startChild('poster.ts')
    const body = JSON.stringify({ namespace: 'bench', queue: 'no-op', data: DATA })
    const turnOf = (path: string, { url, pids }: Intake): Turn => {
      const meter = { skip: size(2000, 100), count: size(15_000, 500), pids }
      const poster: Poster = { url, path, body, connections: 64, jobs: 1, meter }
      return () => client.ask<Metered>('run', poster)
    }
    // As for push: the compiler of V8 is busy with the dispatcher for its first tens of thousands.
    const options = { warmUps: size(3, 1), count: size(15, 2), say }
    const { ours, bare, kept } = await withIntake(appendfsync, (ours) =>
      withBare((bare) =>
        withKept(appendfsync, (kept) => {
          const sides = { bare: turnOf('/jobs', bare), ours: turnOf('/jobs', ours), kept: turnOf('/kept', kept) }
          return inTurns(sides, options)
        }),
      ),
    )
    await client.stop()
    const names = { what: 'POST /jobs single, 64 connections', ours, unit: 'jobs/s' }
    return [
      compare({ ...names, peer: bare, peerName: 'bare fastify', target: { atLeast: 0.6 } }),
      compare({ ...names, peer: kept, peerName: 'bare fastify, an XADD each' }),
    ]
  },
}

async function withBare<T>(use: (intake: Intake) => Promise<T>): Promise<T> {
  const fastify = startChild('bare-fastify.ts')
  const result = await use({ url: await fastify.ask<string>('url'), pids: { server: fastify.pid } })
  await fastify.stop()
  return result
}

/** The same, with each body kept in a stream of Redis before the answer. */
function withKept<T>(appendfsync: Appendfsync, use: (intake: Intake) => Promise<T>): Promise<T> {
  return withStore(appendfsync, async ({ redis }) => {
    const fastify = startChild('bare-fastify.ts')
    await fastify.ask('keepIn', redis.socketPath)
    const pids = { server: fastify.pid, redis: redis.pid }
    const result = await use({ url: await fastify.ask<string>('url'), pids })
    await fastify.stop()
    return result
  })
}
