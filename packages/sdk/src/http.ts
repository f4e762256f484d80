import { MillraceError, type Problem } from './errors.ts'

export interface JsonRequest {
  readonly method: 'GET' | 'POST'
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** JSON text. The caller makes it, so that a retry sends the same bytes even if the object has changed since. */
  readonly body?: string
  readonly timeoutMs: number
}

export interface JsonAnswer {
  readonly status: number
  readonly body: unknown
}

/**
 * One HTTP exchange with a deadline that covers the answer's body too.
 *
 * @throws MillraceError whatever goes wrong, and nothing else.
 */
export async function requestJson(request: JsonRequest): Promise<JsonAnswer> {
  const { response, text } = await exchange(request)
  if (!response.ok) throw refusal(request, response, text)
  try {
    return { status: response.status, body: JSON.parse(text) }
  } catch (cause) {
    const message = `${name(request)} answered ${response.status} with a body that is not JSON`
    throw new MillraceError(message, { code: 'sdk.bad_answer', status: response.status, cause })
  }
}

export interface StreamRequest {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** Until the answer begins. */
  readonly timeoutMs: number
  /** How long nothing may come, from then on. */
  readonly silenceMs: number
  readonly signal: AbortSignal | undefined
}

/**
 * An answer that goes on until its end.
 *
 * @throws MillraceError whatever goes wrong, and nothing else; so does the stream, while it is read.
 */
export async function openStream(request: StreamRequest): Promise<ReadableStream<Uint8Array>> {
  const { url, timeoutMs, silenceMs, signal } = request
  const asked = { method: 'GET', url } as const
  const deadline = new AbortController()
  let timer = setTimeout(() => deadline.abort(), timeoutMs)
  const broken = (cause: unknown): MillraceError =>
    deadline.signal.aborted
      ? new MillraceError(`${name(asked)} fell silent`, { code: 'sdk.timeout', cause })
      : new MillraceError(`${name(asked)} broke off: ${reason(cause)}`, { code: 'sdk.unreachable', cause })
  const ends = AbortSignal.any([deadline.signal, ...(signal ? [signal] : [])])
  try {
    const headers = { accept: 'text/event-stream', ...request.headers }
    const response = await fetch(url, { headers, signal: ends })
    if (!response.ok || !response.body) throw refusal(asked, response, await response.text())
    return watched(response.body, {
      heard() {
        clearTimeout(timer)
        timer = setTimeout(() => deadline.abort(), silenceMs)
      },
      over: () => clearTimeout(timer),
      broken,
    })
  } catch (error) {
    clearTimeout(timer)
    throw error instanceof MillraceError ? error : broken(error)
  }
}

interface Watch {
  heard(): void
  over(): void
  broken(cause: unknown): MillraceError
}

function watched(body: ReadableStream<Uint8Array>, { heard, over, broken }: Watch): ReadableStream<Uint8Array> {
  const reader = body.getReader()
  heard()
  return new ReadableStream({
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (!done) {
          heard()
          return controller.enqueue(value)
        }
        over()
        controller.close()
      } catch (cause) {
        over()
        controller.error(broken(cause))
      }
    },
    cancel(why) {
      over()
      return reader.cancel(why)
    },
  })
}

/** JSON text of what the caller handed in. A cycle or a BigInt is the caller's mistake and says so. */
export function toJson(value: unknown): string {
  try {
    return JSON.stringify(value)
  } catch (cause) {
    throw new MillraceError(`The data cannot be written as JSON: ${String(cause)}`, {
      code: 'sdk.invalid_input',
      cause,
    })
  }
}

/** A base URL without its trailing slashes, so that paths can be appended. */
export function baseUrl(option: string, value: string): string {
  // `localhost:7401` is a URL too, with the scheme `localhost`; it must not wait for the first request to fail.
  if (!/^https?:\/\//.test(value) || !URL.canParse(value)) {
    throw new MillraceError(`${option} must be an http or https URL, got ${value}`, { code: 'sdk.invalid_input' })
  }
  return value.replace(/\/+$/, '')
}

/** The header that shows a key; none without one. */
export function bearer(apiKey: string | undefined): Record<string, string> {
  return apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
}

async function exchange(request: JsonRequest): Promise<{ response: Response; text: string }> {
  const { method, url, body, timeoutMs } = request
  const headers = {
    accept: 'application/json',
    ...(body && { 'content-type': 'application/json' }),
    ...request.headers,
  }
  try {
    const response = await fetch(url, { method, headers, body, signal: AbortSignal.timeout(timeoutMs) })
    return { response, text: await response.text() }
  } catch (cause) {
    if (cause instanceof Error && cause.name === 'TimeoutError') {
      throw new MillraceError(`${name(request)} gave no answer in ${timeoutMs} ms`, { code: 'sdk.timeout', cause })
    }
    throw new MillraceError(`${name(request)} could not be reached: ${reason(cause)}`, {
      code: 'sdk.unreachable',
      cause,
    })
  }
}

function refusal(request: Pick<JsonRequest, 'method' | 'url'>, response: Response, text: string): MillraceError {
  const problem = parseProblem(text)
  const { status } = response
  return new MillraceError(`${name(request)} answered ${status}: ${problem?.detail ?? response.statusText}`, {
    code: problem?.code ?? 'sdk.refused',
    status,
    problem,
    retryAfterMs: retryAfterMs(response.headers.get('retry-after')),
  })
}

function parseProblem(text: string): Problem | undefined {
  try {
    const value: unknown = JSON.parse(text)
    const isProblem = typeof value === 'object' && value !== null && 'code' in value && typeof value.code === 'string'
    return isProblem ? (value as unknown as Problem) : undefined
  } catch {
    return undefined
  }
}

/** Seconds or an HTTP date (RFC 9110 section 10.2.3). */
function retryAfterMs(header: string | null): number | undefined {
  if (header === null) return undefined
  const ms = /^\d+$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.now()
  return Number.isNaN(ms) ? undefined : Math.max(0, ms)
}

/** `fetch` says only "fetch failed"; which refusal or reset it was stands in its cause. */
function reason(error: unknown): string {
  const cause = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return cause instanceof Error ? cause.message || cause.name : String(cause)
}

function name(request: Pick<JsonRequest, 'method' | 'url'>): string {
  return `${request.method} ${request.url}`
}
