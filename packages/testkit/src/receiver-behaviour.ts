import type { IncomingHttpHeaders, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

/** A request as the receiver got it. */
export interface ReceivedRequest {
  readonly method: string
  /** Without the query string. */
  readonly path: string
  /** As it stood in the request line, with the query string. */
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: string
  /** The body parsed; throws when it is not JSON. */
  json(): unknown
  /** When the request line and headers had arrived, in ms since the epoch. */
  readonly at: number
  /** True when the client went away before it had the complete answer. */
  aborted: boolean
}

/** What the receiver does with one request. */
export type Behaviour =
  | {
      readonly kind?: undefined
      readonly status?: number
      /** A string or a Buffer goes out as it is, anything else as JSON. */
      readonly body?: unknown
      readonly headers?: Readonly<Record<string, string>>
      readonly delayMs?: number
    }
  /** Never answers. */
  | { readonly kind: 'hang' }
  /** Destroys the connection with a RST. */
  | { readonly kind: 'reset' }
  /** Answers with bytes that are not HTTP. */
  | { readonly kind: 'garbage' }
  /** Promises more bytes in `content-length` than it sends, then closes. */
  | { readonly kind: 'half' }
  | { readonly kind: 'redirect'; readonly to: string }

export type ScriptedBehaviour = Behaviour | ((request: ReceivedRequest) => Behaviour | Promise<Behaviour>)

/** Plays one behaviour; `gone` fires when the client has left or the receiver closes. */
export async function play(behaviour: Behaviour, response: ServerResponse, gone: AbortSignal): Promise<void> {
  const socket = response.socket
  if (!socket) return
  switch (behaviour.kind) {
    case undefined:
      return answer(behaviour, response, gone)
    case 'hang':
      return
    case 'reset':
      socket.resetAndDestroy()
      return
    case 'garbage':
      return endWith(socket, 'This is not HTTP at all.\r\n\r\n')
    case 'half':
      return endWith(
        socket,
        'HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{"success":',
      )
    case 'redirect':
      response.writeHead(302, { location: behaviour.to }).end()
      return
    default:
      behaviour satisfies never
  }
}

async function answer(
  behaviour: Extract<Behaviour, { kind?: undefined }>,
  response: ServerResponse,
  gone: AbortSignal,
): Promise<void> {
  const { status = 200, body = { success: true }, headers = {}, delayMs = 0 } = behaviour
  if (delayMs > 0) await sleep(delayMs, undefined, { signal: gone }).catch(() => {})
  if (gone.aborted) return
  const isRaw = typeof body === 'string' || Buffer.isBuffer(body)
  const contentType = isRaw ? 'text/plain; charset=utf-8' : 'application/json'
  response.writeHead(status, { 'content-type': contentType, ...headers })
  response.end(isRaw ? body : JSON.stringify(body))
}

/** Past the HTTP layer, which would not let us write such things. */
function endWith(socket: Socket, bytes: string): void {
  socket.end(bytes)
}
