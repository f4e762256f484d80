import { readFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { text } from 'node:stream/consumers'
import type { Certificate } from './certificate-authority.ts'
import { eventually } from './eventually.ts'
import { freePort } from './free-port.ts'
import { type Behaviour, play, type ReceivedRequest, type ScriptedBehaviour } from './receiver-behaviour.ts'

/** A real HTTP server that records what it gets and behaves, path by path, as a test says. */
export interface Receiver {
  /** `http://127.0.0.1:<port>`, and with a certificate `https://localhost:<port>` */
  readonly url: string
  readonly port: number
  /**
   * The nth request to `path` gets the nth behaviour, the last one repeats. A new script starts counting anew. Paths
   * without a script answer 200 `{"success":true}`.
   */
  script(path: string, ...behaviours: readonly ScriptedBehaviour[]): void
  /** Requests whose body has arrived, oldest first; of one path, or of all. */
  requests(path?: string): ReceivedRequest[]
  /** The highest number of requests that were open at once; of one path, or of all together. */
  maxInFlight(path?: string): number
  /** Resolves with the requests to `path` once there are at least `count`. */
  waitFor(path: string, count: number, timeoutMs?: number): Promise<ReceivedRequest[]>
  /** Goes down: open connections break, new ones are refused. Scripts and records stay. */
  close(): Promise<void>
  /** Comes up again on the same port. */
  reopen(): Promise<void>
  /** Goes down for good. */
  stop(): Promise<void>
}

const MAX_START_TRIES = 5
// All paths together, in the map of counts by path. No path begins with a space.
const ALL = ' all'

export async function startReceiver({ certificate }: { certificate?: Certificate } = {}): Promise<Receiver> {
  for (let tries = 1; ; tries++) {
    const receiver = new ScriptedReceiver(await freePort(), certificate)
    try {
      await receiver.reopen()
      return receiver
    } catch (error) {
      // Another test file may take the port between our look and the bind.
      if (tries === MAX_START_TRIES) throw error
    }
  }
}

class ScriptedReceiver implements Receiver {
  readonly url: string
  readonly port: number
  readonly #server: Server
  readonly #scripts = new Map<string, { readonly behaviours: readonly ScriptedBehaviour[]; used: number }>()
  readonly #requests: ReceivedRequest[] = []
  readonly #inFlight = new Map<string, { now: number; max: number }>()

  constructor(port: number, certificate: Certificate | undefined) {
    this.port = port
    this.url = certificate ? `https://localhost:${port}` : `http://127.0.0.1:${port}`
    const handle = (request: IncomingMessage, response: ServerResponse) => void this.#handle(request, response)
    this.#server = certificate
      ? createTlsServer({ cert: readFileSync(certificate.certFile), key: readFileSync(certificate.keyFile) }, handle)
      : createServer(handle)
    // Long, so that no test meets a connection which the server happened to close for idling.
    this.#server.keepAliveTimeout = 60_000
  }

  script(path: string, ...behaviours: readonly ScriptedBehaviour[]): void {
    this.#scripts.set(path, { behaviours, used: 0 })
  }

  requests(path?: string): ReceivedRequest[] {
    return this.#requests.filter((request) => path === undefined || request.path === path)
  }

  maxInFlight(path: string = ALL): number {
    return this.#inFlight.get(path)?.max ?? 0
  }

  waitFor(path: string, count: number, timeoutMs = 60_000): Promise<ReceivedRequest[]> {
    const check = () => {
      const requests = this.requests(path)
      if (requests.length < count) throw new Error(`got ${requests.length} of ${count}`)
      return requests
    }
    return eventually(check, { timeoutMs, what: `${count} requests to ${path}` })
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      // An error only says that it was not listening.
      this.#server.close(() => resolve())
      this.#server.closeAllConnections()
    })
  }

  reopen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen({ port: this.port, host: '127.0.0.1' }, () => {
        this.#server.off('error', reject)
        resolve()
      })
    })
  }

  stop(): Promise<void> {
    return this.close()
  }

  async #handle(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = pathOf(message)
    const at = Date.now()
    const gone = new AbortController()
    const leave = [this.#enter(path), this.#enter(ALL)]
    // An answer that is handed over is no longer in hand: its client may come with the next request before `close`.
    response.once('prefinish', () => {
      for (const done of leave.splice(0)) done()
    })
    response.once('close', () => {
      for (const done of leave.splice(0)) done()
      gone.abort()
    })
    const body = await text(message).catch(() => undefined)
    // The client left in the middle of its own request; there is nothing to record or to answer.
    if (body === undefined) return
    const request = record({ message, path, body, at })
    this.#requests.push(request)
    const behaviour = await this.#next(request)
    if (gone.signal.aborted) {
      request.aborted = true
      return
    }
    response.once('close', () => {
      request.aborted = !response.writableFinished && !closesByItself(behaviour)
    })
    await play(behaviour, response, gone.signal)
  }

  #enter(path: string): () => void {
    const count = this.#inFlight.get(path) ?? { now: 0, max: 0 }
    this.#inFlight.set(path, count)
    count.now += 1
    count.max = Math.max(count.max, count.now)
    return () => {
      count.now -= 1
    }
  }

  async #next(request: ReceivedRequest): Promise<Behaviour> {
    const script = this.#scripts.get(request.path)
    const scripted = script?.behaviours[Math.min(script.used++, script.behaviours.length - 1)]
    if (scripted === undefined) return {}
    if (typeof scripted !== 'function') return scripted
    try {
      return await scripted(request)
    } catch (error) {
      return { status: 500, body: `The scripted behaviour threw: ${String(error)}` }
    }
  }
}

function record(parts: { message: IncomingMessage; path: string; body: string; at: number }): ReceivedRequest {
  const { message, path, body, at } = parts
  return {
    method: message.method ?? '',
    path,
    url: message.url ?? '',
    headers: message.headers,
    body,
    json: () => JSON.parse(body),
    at,
    aborted: false,
  }
}

function pathOf(message: IncomingMessage): string {
  return (message.url ?? '').split('?', 1)[0]!
}

function closesByItself(behaviour: Behaviour): boolean {
  return behaviour.kind === 'reset' || behaviour.kind === 'garbage' || behaviour.kind === 'half'
}
