import { setTimeout as sleep } from 'node:timers/promises'
import { CUSTOMERS, NAMESPACE } from './manifest.ts'
import type { Random } from './random.ts'

/** What producers were told, to be held against what happened. */
export interface Told {
  /** Ids of jobs that were accepted, with their queue. */
  readonly jobs: Map<string, string>
  /** Ids of events that were accepted. */
  readonly events: Set<string>
  /** Answers that no fault explains. */
  readonly surprises: string[]
  /** Refused with 503, or without an answer, and sent again. */
  retries: number
}

export interface Load {
  readonly told: Told
  /** Send no more; resolves when what was begun is accepted. */
  stop(): Promise<void>
}

export interface LoadOptions {
  /** Of the dispatchers; a request that fails goes to another one next. */
  readonly urls: readonly string[]
  readonly perSecond: number
  readonly random: Random
}

const PRODUCERS = 4
/** Past this a producer asks somebody else. */
const TIMEOUT_MS = 3000
const RETRY_MS = 100
// Enough to tell what is wrong, in a run in which everything is.
const MAX_SURPRISES = 20

interface Message {
  readonly path: string
  readonly body: Record<string, unknown>
  readonly queue?: string
  /** Without a key nobody may send it twice. */
  readonly isRepeatable: boolean
}

/** Producers that send each job until somebody has accepted it, as the SDK does, at about the rate given. */
export function startLoad({ urls, perSecond, random }: LoadOptions): Load {
  const told: Told = { jobs: new Map(), events: new Set(), surprises: [], retries: 0 }
  let going = true
  let sent = 0

  const send = async ({ path, body, queue, isRepeatable }: Message) => {
    let known: string | undefined
    for (let tries = 0; ; tries++) {
      const answer = await post(`${urls[(sent + tries) % urls.length]}${path}`, body)
      if (answer?.id !== undefined) {
        if (known !== undefined && known !== answer.id) note(`${JSON.stringify(body)} became ${known} and ${answer.id}`)
        if (queue === undefined) told.events.add(String(body.id))
        else told.jobs.set(answer.id, queue)
        // A producer may always ask again with its key, and gets the same job.
        if (!isRepeatable || queue === undefined || known !== undefined || random.next() > 0.05) return
        known = answer.id
        continue
      }
      told.retries++
      if (answer?.surprise !== undefined) return note(`${path} ${JSON.stringify(body)}: ${answer.surprise}`)
      if (!isRepeatable) return
      await sleep(RETRY_MS)
    }
  }
  const note = (surprise: string) => {
    if (told.surprises.length < MAX_SURPRISES) told.surprises.push(surprise)
  }
  const produce = async () => {
    while (going) {
      const startedAt = performance.now()
      await send(nextMessage(++sent, random))
      await sleep(Math.max(0, (1000 * PRODUCERS) / perSecond - (performance.now() - startedAt)))
    }
  }
  const running = Promise.all(Array.from({ length: PRODUCERS }, produce))
  return {
    told,
    async stop() {
      going = false
      await running
    },
  }
}

function nextMessage(n: number, random: Random): Message {
  const kind = random.next()
  if (kind < 0.15) {
    const event = { id: `event-${n}`, source: '/chaos', type: 'news.told', namespace: NAMESPACE, data: { n } }
    return { path: '/events', body: event, isRepeatable: true }
  }
  const queue = kind < 0.35 ? 'orders' : kind < 0.55 ? 'parcels' : 'mail'
  const isRepeatable = random.next() > 0.1
  const body = {
    namespace: NAMESPACE,
    queue,
    data: { n, text: 'x'.repeat(random.between(0, 400)) },
    ...(isRepeatable && { idempotencyKey: `job-${n}` }),
    ...(queue === 'orders' && { key: `customer-${random.between(1, CUSTOMERS)}` }),
    ...(random.next() < 0.15 && { delayMs: random.between(50, 2500) }),
    ...(queue !== 'orders' && random.next() < 0.1 && { priority: random.pick(['high', 'low']) }),
  }
  return { path: '/jobs', body, queue, isRepeatable }
}

/** The id of what was accepted; nothing while it has to be sent again; a surprise when no outage explains the answer. */
async function post(url: string, body: unknown): Promise<{ id?: string; surprise?: string } | undefined> {
  try {
    const response = await fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(TIMEOUT_MS),
    })
    const text = await response.text()
    if (response.ok) return { id: (JSON.parse(text) as { id: string }).id }
    if (response.status === 503 && response.headers.has('retry-after')) return undefined
    return { surprise: `${response.status} ${text}` }
  } catch {
    return undefined
  }
}
