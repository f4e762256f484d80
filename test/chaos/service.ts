import { createServer, type IncomingMessage } from 'node:http'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePort } from '@millrace/testkit'
import type { Random } from './random.ts'

/** What goes on without a pause while the platform is well; the longest silence of each is how long it stood still. */
export const CHANNELS = ['push', 'pull', 'ticks', 'audit'] as const
export type Channel = (typeof CHANNELS)[number]

/**
 * The service that everything is delivered to, pull workers included: they report here what they are about to do. It notes
 * little of each job, since a long run has hundreds of thousands.
 */
export interface Service {
  readonly url: string
  /** Jobs that were answered with success. */
  readonly answered: ReadonlySet<string>
  /** Which jobs brought each event. */
  readonly eventJobs: ReadonlyMap<string, ReadonlySet<string>>
  /** Deliveries of an attempt that had been delivered before. */
  duplicates(): number
  deliveries(): number
  /** When something was done, ms since the epoch, in rising order. */
  readonly progress: Readonly<Record<Channel, number[]>>
  stop(): Promise<void>
}

/** Of a hundred first attempts so many fail, so that retries are always under way. */
const FAILING_PERCENT = 4
const MAX_WORK_MS = 30

export async function startService(random: Random): Promise<Service> {
  const port = await freePort()
  const answered = new Set<string>()
  const eventJobs = new Map<string, Set<string>>()
  const attempts = new Set<string>()
  const progress: Record<Channel, number[]> = { push: [], pull: [], ticks: [], audit: [] }
  let deliveries = 0
  let duplicates = 0

  const handle = async (request: IncomingMessage): Promise<number> => {
    const body = await text(request)
    const job = String(request.headers['webhook-id'])
    const attempt = `${job} ${request.headers['x-attempt']}`
    deliveries++
    if (attempts.has(attempt)) duplicates++
    attempts.add(attempt)
    if (request.url === '/internal/news') noteEvent((JSON.parse(body) as { id: string }).id, job)
    await sleep(random.between(0, MAX_WORK_MS))
    if (request.headers['x-attempt'] === '1' && random.next() * 100 < FAILING_PERCENT) return 500
    answered.add(job)
    progress[channelOf(request.url ?? '')].push(Date.now())
    return 200
  }
  const noteEvent = (id: string, job: string) => {
    const jobs = eventJobs.get(id) ?? new Set()
    eventJobs.set(id, jobs.add(job))
  }
  const server = createServer((request, response) => {
    handle(request).then(
      (status) => response.writeHead(status, { 'content-type': 'application/json' }).end('{}'),
      // Whoever sent it was killed in the middle of it.
      () => response.destroy(),
    )
  })
  server.keepAliveTimeout = 60_000
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${port}`,
    answered,
    eventJobs,
    progress,
    duplicates: () => duplicates,
    deliveries: () => deliveries,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

function channelOf(path: string): Channel {
  if (path.startsWith('/internal/tick/')) return 'ticks'
  return path === '/internal/pulled' ? 'pull' : 'push'
}
