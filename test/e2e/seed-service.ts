import { createServer, type Server } from 'node:http'
import { Septor } from '@millrace/sdk'
import { eventually, freePort } from '@millrace/testkit'
import { createSeedApp, type SeedEnvironment } from './seed-handlers.ts'
import { type SeedDelivery, SeedScript } from './seed-script.ts'

export interface SeedServiceOptions {
  /** The dispatcher. */
  readonly queueUrl: string
  /** The audit service. */
  readonly septorUrl: string
  /** A free one unless told. */
  readonly port?: number
  /** `my-service` unless told, as in `seed-catalog-info.yaml`. */
  readonly namespace?: string
  /** Ids of the records that the nightly sync finds; three unless told. */
  readonly records?: readonly string[]
}

/**
 * A user's service, whose workers do as the test says. A worker works on items: `recordId`, `claimId`, `reportId`, or for
 * the two steps `orderId`. Rules count the tries of each item, so they hold for every item of a fan-out alike.
 */
export interface SeedService {
  /** `http://127.0.0.1:<port>`, the same after a restart. */
  readonly url: string
  readonly port: number
  readonly septor: Septor
  /** The first `tries` tries of each item fail: with 500, or for the steps and reports by an error that nobody catches. */
  failFirst(queue: string, tries: number): void
  alwaysFail(queue: string): void
  /** The first `tries` tries of each item, all unless told, never answer. */
  hang(queue: string, tries?: number): void
  /** Works again. What hangs already goes on hanging until its caller leaves. */
  recover(queue: string): void
  setPendingRecords(ids: readonly string[]): void
  /** Requests under `/internal/`, oldest first; of one queue or schedule, or of all. */
  deliveries(name?: string): SeedDelivery[]
  waitForDeliveries(name: string, count: number, timeoutMs?: number): Promise<SeedDelivery[]>
  /** The items that were done, in order; one that was done twice is there twice. */
  performed(queue: string): string[]
  waitForPerformed(queue: string, count: number, timeoutMs?: number): Promise<string[]>
  /** The highest number of requests that one queue had open at once. */
  maxInFlight(queue: string): number
  /** Puts a job into `queue`, as a user's own code does, and gives back its id. */
  enqueue(queue: string, data: unknown): Promise<string>
  /** Goes down: open connections break, new ones are refused. Rules, records and what was done stay. */
  stop(): Promise<void>
  /** Comes up again on the same port. */
  start(): Promise<void>
}

/** Starts the service. Stop it with `stop`; emits that are still on their way go on until they are accepted or given up. */
export async function startSeedService(options: SeedServiceOptions): Promise<SeedService> {
  const { queueUrl, septorUrl, namespace = 'my-service' } = options
  const env: SeedEnvironment = { IEC_QUEUE_URL: queueUrl, SEPTOR_URL: septorUrl, SERVICE_NAMESPACE: namespace }
  const port = options.port ?? (await freePort())
  const url = `http://127.0.0.1:${port}`
  const septor = new Septor({ apiUrl: env.SEPTOR_URL, namespace: env.SERVICE_NAMESPACE, giveUpAfterMs: 30_000 })
  const script = new SeedScript()
  let pendingRecords = options.records ?? ['rec_1', 'rec_2', 'rec_3']
  let reports = 0

  const business = {
    record: script.record,
    getPendingRecords: async () => pendingRecords.map((id) => ({ id })),
    perform: (name: string, item: string) => script.perform(name, item),
    isPerformed: (name: string, item: string) => script.isPerformed(name, item),
    createReport: async () => ({ reportId: `report_${++reports}` }),
  }
  // The errors are scripted, so printing them would only hide the ones that are not.
  const logger = { warn: () => undefined, error: () => undefined }
  const server = createServer(createSeedApp(env, business, { septor, logger }))
  await listen(server, port)

  return {
    url,
    port,
    septor,
    failFirst: (queue, tries) => script.rule(queue, { kind: 'fail', first: tries }),
    alwaysFail: (queue) => script.rule(queue, { kind: 'fail', first: Number.POSITIVE_INFINITY }),
    hang: (queue, tries = Number.POSITIVE_INFINITY) => script.rule(queue, { kind: 'hang', first: tries }),
    recover: (queue) => script.clear(queue),
    setPendingRecords: (ids) => {
      pendingRecords = ids
    },
    deliveries: (name) => script.deliveries(name),
    waitForDeliveries: (name, count, timeoutMs) =>
      waitForCount(() => script.deliveries(name), { count, timeoutMs, what: `deliveries to ${name}` }),
    performed: (queue) => script.performed(queue),
    waitForPerformed: (queue, count, timeoutMs) =>
      waitForCount(() => script.performed(queue), { count, timeoutMs, what: `items done by ${queue}` }),
    maxInFlight: (queue) => script.maxInFlight(queue),
    enqueue: (queue, data) => enqueue(env, queue, data),
    stop: () => close(server),
    start: () => listen(server, port),
  }
}

async function enqueue(env: SeedEnvironment, queue: string, data: unknown): Promise<string> {
  const response = await fetch(`${env.IEC_QUEUE_URL}/jobs`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ namespace: env.SERVICE_NAMESPACE, queue, data }),
  })
  if (!response.ok) throw new Error(`${queue} answered ${response.status}: ${await response.text()}`)
  const { id: jobId } = (await response.json()) as { id: string }
  return jobId
}

function waitForCount<T>(
  read: () => T[],
  { count, what, timeoutMs = 60_000 }: { count: number; what: string; timeoutMs?: number | undefined },
): Promise<T[]> {
  const check = () => {
    const items = read()
    if (items.length < count) throw new Error(`got ${items.length} of ${count}`)
    return items
  }
  return eventually(check, { timeoutMs, what: `${count} ${what}` })
}

function listen(server: Server, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '127.0.0.1', () => {
      server.off('error', reject)
      resolve()
    })
  })
}

function close(server: Server): Promise<void> {
  return new Promise((resolve) => {
    // An error only says that it was not listening.
    server.close(() => resolve())
    server.closeAllConnections()
  })
}
