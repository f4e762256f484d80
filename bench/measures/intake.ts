import { startChild } from '../child.ts'
import { type Appendfsync, BOTH, compare, type Figure, type Measure } from '../measure.ts'
import { withStore } from '../sides/millrace.ts'
import { DATA } from '../sides/payload.ts'
import { type PostOptions, post, postRate } from '../sides/post.ts'

/** `POST /jobs`, one job a request, against a route that parses and checks the same body and keeps nothing. */
export const intake: Measure = {
  name: 'intake',
  about: 'POST /jobs single, 64 connections, against a bare fastify route that parses the same body',
  appendfsync: BOTH,
  async run({ appendfsync, size, say }) {
    const body = JSON.stringify({ namespace: 'bench', queue: 'no-op', data: DATA })
    const request = { path: '/jobs', body, connections: 64, jobs: 1 }
    // As for push: the compiler of V8 is busy with the dispatcher for its first tens of thousands.
    const measured = { skip: size(40_000, 500), count: size(40_000, 1000) }

    say('bare fastify')
    const fastify = startChild('bare-fastify.ts')
    const url = await fastify.ask<string>('url')
    const peer = await post({ ...request, url, meter: { ...measured, pids: { server: fastify.pid } } })
    await fastify.stop()

    say('bare fastify that keeps each body in a stream of Redis')
    const kept = await keptRate(appendfsync, { ...request, path: '/kept', ...measured })

    say('POST /jobs')
    const ours = await postRate(appendfsync, { ...request, ...measured })
    const names = { what: 'POST /jobs single, 64 connections', unit: 'jobs/s' }
    return [
      compare({ ...names, ours, peer, peerName: 'bare fastify', target: { atLeast: 0.6 } }),
      compare({ ...names, ours, peer: kept, peerName: 'bare fastify, an XADD each' }),
    ]
  },
}

function keptRate(appendfsync: Appendfsync, { skip, count, ...request }: PostOptions): Promise<Figure> {
  return withStore(appendfsync, async ({ redis }) => {
    const fastify = startChild('bare-fastify.ts')
    const url = await fastify.ask<string>('url')
    await fastify.ask('keepIn', redis.socketPath)
    const pids = { server: fastify.pid, redis: redis.pid }
    const figure = await post({ ...request, url, meter: { skip, count, pids } })
    await fastify.stop()
    return figure
  })
}
