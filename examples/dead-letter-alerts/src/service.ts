import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import { alertText, type PlatformEvent } from './alert-text.ts'
import type { Config } from './config.ts'

export interface Service {
  readonly url: string
  close(): Promise<void>
}

const CHAT_DEADLINE_MS = 10_000

/** Takes events at `/internal/events/alerts` and posts a line for each to the chat. */
export async function startService({ port, chatUrl }: Config): Promise<Service> {
  const server = createServer(async (request, response) => {
    if (request.method !== 'POST' || request.url !== '/internal/events/alerts') return response.writeHead(404).end()
    const status = await post(await text(request), chatUrl)
    return response.writeHead(status).end()
  })
  await new Promise<void>((resolve) => server.listen(port, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => new Promise((resolve) => server.close(() => resolve())),
  }
}

/** 204 when the chat has it; anything else, and Millrace comes again. */
async function post(body: string, chatUrl: string): Promise<number> {
  let line: string
  try {
    line = alertText(JSON.parse(body) as PlatformEvent)
  } catch {
    // 489: it will not be readable the next time either.
    return 489
  }
  try {
    const answer = await fetch(chatUrl, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: line }),
      signal: AbortSignal.timeout(CHAT_DEADLINE_MS),
    })
    return answer.ok ? 204 : 502
  } catch {
    return 502
  }
}
