import type { Problem } from '@millrace/contracts'
import { certificateAdvice } from '@millrace/contracts/certificate-advice'
import { readConfig } from './config.ts'
import { collectPages } from './list-pages.ts'

/** What a person is told when a request did not work: a message, no stack. */
export class CommandError extends Error {
  override readonly name: string = 'CommandError'
}

/** What an app refused, as it said it. */
export class ProblemAnswer extends CommandError {
  readonly problem: Problem

  constructor(message: string, problem: Problem) {
    super(message)
    this.problem = problem
  }
}

/** Nobody answered: the same request may work in a while. */
export class UnreachableError extends CommandError {}

export interface CallOptions {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'DELETE'
  readonly body?: unknown
  readonly headers?: Record<string, string>
  readonly timeoutMs?: number
}

const CALL_TIMEOUT_MS = 60_000

/** Call one of the apps. Problem documents become readable errors, with every field error on a line of its own. */
export async function call<T>(
  url: string,
  path: string,
  { method = 'GET', body, headers, timeoutMs = CALL_TIMEOUT_MS }: CallOptions = {},
): Promise<T> {
  const response = await fetchOrExplain(url, path, {
    method,
    headers: { ...authorization(), ...(body !== undefined && { 'content-type': 'application/json' }), ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
    signal: AbortSignal.timeout(timeoutMs),
  })
  const text = await response.text()
  if (response.ok) return (text === '' ? undefined : JSON.parse(text)) as T
  throw refusal(response.status, text)
}

/** All items of a list, however many pages they take. Without `member` the answer itself is the array. */
export async function callAll<Item>(url: string, path: string, member?: string): Promise<Item[]> {
  const ask = async (address: string) => {
    const init = { headers: authorization(), signal: AbortSignal.timeout(CALL_TIMEOUT_MS) }
    const response = await fetchOrExplain(url, address, init)
    if (response.ok) return response
    throw refusal(response.status, await response.text())
  }
  return collectPages<Item>(await ask(path), { ...(member !== undefined && { member }), next: ask })
}

/** The body of an answer as it comes, for what may be longer than memory. */
export async function open(url: string, path: string): Promise<ReadableStream> {
  const response = await fetchOrExplain(url, path, { headers: authorization() })
  if (response.ok && response.body) return response.body
  throw refusal(response.status, await response.text())
}

/** What an app says of itself, as Prometheus reads it. */
export async function readMetricsText(url: string, timeoutMs = CALL_TIMEOUT_MS): Promise<string> {
  const response = await fetchOrExplain(`${url}/`, 'metrics', {
    headers: authorization(),
    signal: AbortSignal.timeout(timeoutMs),
  })
  const text = await response.text()
  if (response.ok) return text
  throw refusal(response.status, text)
}

function authorization(): Record<string, string> {
  const { apiKey } = readConfig()
  return apiKey === undefined ? {} : { authorization: `Bearer ${apiKey}` }
}

function refusal(status: number, text: string): CommandError {
  if (status === 401 && readConfig().apiKey === undefined)
    return new CommandError(
      'This installation asks for a key: set MILLRACE_API_KEY, and ask an admin for one (millrace keys create).',
    )
  const problem = parseProblem(text)
  const message = explainProblem(status, text)
  return problem ? new ProblemAnswer(message, problem) : new CommandError(message)
}

const START_IT = 'Is Millrace running? Start it with "npm start", or name its address with --url.'

async function fetchOrExplain(url: string, path: string, init: RequestInit): Promise<Response> {
  try {
    return await fetch(new URL(path, url), init)
  } catch (error) {
    const cause = (error as { cause?: NodeJS.ErrnoException }).cause
    const reason = cause?.code ?? (error as Error).name
    const advice = certificateAdvice(cause) ?? START_IT
    throw new UnreachableError(`Cannot reach ${url} (${reason}). ${advice}`, { cause: error })
  }
}

function explainProblem(status: number, text: string): string {
  const problem = parseProblem(text)
  if (!problem) return `HTTP ${status}: ${text.slice(0, 300)}`
  const errors = problem.errors ?? []
  const lines = errors.map(
    ({ pointer, detail, line }) => `  ${line === undefined ? '' : `line ${line}: `}${pointer || '/'} ${detail}`,
  )
  return [`${problem.title} (${problem.code})`, ...(lines.length > 0 ? lines : [`  ${problem.detail}`])].join('\n')
}

function parseProblem(text: string): Problem | undefined {
  try {
    const value = JSON.parse(text)
    return typeof value?.code === 'string' ? (value as Problem) : undefined
  } catch {
    return undefined
  }
}
