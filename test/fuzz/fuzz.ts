import type { AppName } from '@millrace/contracts'
import { type FuzzRequest, type OpenApi, requestsTo } from './requests.ts'
import { createChance, type Known } from './values.ts'

export interface FuzzOptions {
  readonly urls: Readonly<Record<AppName, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly seed: number
  /** Ends after so many requests to each app, or so many ms, whichever is first. */
  readonly requests: number
  readonly forMs: number
  /** Ids and names that lead further than a 404. */
  readonly known: Known
}

export interface FuzzResult {
  readonly requests: number
  /** How often each status came. */
  readonly statuses: Readonly<Record<string, number>>
  readonly faults: readonly Fault[]
}

export interface Fault {
  readonly app: AppName
  readonly what: string
  readonly request: FuzzRequest
}

/** An answer may wait or stream on purpose; all others are there long before that. */
const GIVE_UP_MS = 10_000
const WAITS = /\/stream|[?&]wait=/
const AT_ONCE = 8
/** 503 that say how things are: a request before this one may have drained the queue. */
const FINE_503 = new Set(['queue.draining', 'history.unavailable'])

/** Ask every route of the apps by their OpenAPI documents for what nobody would ask for, and collect what is no answer. */
export async function fuzz(options: FuzzOptions): Promise<FuzzResult> {
  const statuses: Record<string, number> = {}
  const faults: Fault[] = []
  let requests = 0
  const until = Date.now() + options.forMs
  await Promise.all(
    (Object.entries(options.urls) as [AppName, string][]).map(async ([app, url], index) => {
      const document = (await (await fetch(`${url}/openapi.json`)).json()) as OpenApi
      const all = requestsTo(document, { chance: createChance(options.seed + index), known: options.known })
      let left = options.requests
      const worker = async () => {
        while (left-- > 0 && Date.now() < until) {
          const { value: request } = all.next()
          const { status, fault } = await ask(url, request, options.headers)
          requests++
          statuses[status] = (statuses[status] ?? 0) + 1
          if (fault !== undefined) faults.push({ app, what: fault, request })
        }
      }
      await Promise.all(Array.from({ length: AT_ONCE }, worker))
    }),
  )
  return { requests, statuses, faults }
}

async function ask(
  url: string,
  { method, path, headers, body }: FuzzRequest,
  more: FuzzOptions['headers'],
): Promise<{ status: string; fault?: string }> {
  const canWait = WAITS.test(path)
  try {
    const response = await fetch(`${url}${path}`, {
      ...{ method, headers: { ...headers, ...more }, redirect: 'manual' },
      ...(body !== undefined && method !== 'GET' && { body }),
      signal: AbortSignal.timeout(canWait ? 300 : GIVE_UP_MS),
    })
    const { status } = response
    const type = response.headers.get('content-type') ?? ''
    if (type.startsWith('text/event-stream')) {
      await response.body?.cancel()
      return { status: String(status) }
    }
    const text = await response.text()
    const fault = faultOf({ status, type, text })
    return { status: String(status), ...(fault !== undefined && { fault }) }
  } catch (error) {
    if (canWait && (error as Error).name === 'TimeoutError') return { status: 'waits' }
    const { cause } = error as Error
    return { status: 'none', fault: `no answer: ${String(cause ?? error)}` }
  }
}

function faultOf({ status, type, text }: { status: number; type: string; text: string }): string | undefined {
  const said = `${status} ${text.slice(0, 300)}`
  if (status >= 400 && !type.startsWith('application/problem+json')) return `no problem document: ${said}`
  if (status < 500) return undefined
  const { code } = JSON.parse(text) as { code: string }
  return status === 503 && FINE_503.has(code) ? undefined : said
}
