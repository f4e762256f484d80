import fastifySse from '@fastify/sse'
import { ProblemError } from '@millrace/contracts'
import type { FastifyReply } from 'fastify'
import type { AppServer } from './http-server.ts'

/** One message of a stream of server-sent events. */
export interface StreamMessage {
  /** The name of the event that a client listens for. */
  readonly kind: string
  /** What a client comes again with, as `Last-Event-ID`. */
  readonly id?: string
  /** JSON text. */
  readonly data: string
}

export interface EventStream {
  /** Fires when the client has gone or is cut off, or the process stops. */
  readonly over: AbortSignal
  /** Send the head. Until then a route may still answer with something else. */
  begin(): void
  /** Waits for a slow client; resolves without having sent when the stream is over. */
  send(message: StreamMessage): Promise<void>
  /** Say why nothing more comes, and close. */
  cut(reason: CutReason, detail: string): void
}

/** The last event of a stream that does not end by itself. */
const CUT = 'cut'

/** The `reason` of the event `cut`: come again, at once, or of `slow` with less to ask for, or of `refused` with a key that holds. */
export type CutReason = 'slow' | 'stopping' | 'unavailable' | 'refused'

export interface EventStreams {
  /** Counted as open until `work` ends. Throws ProblemError `stream.too_many` when there are too many. */
  run<Sent>(reply: FastifyReply, work: (stream: EventStream) => Promise<Sent>): Promise<Sent>
}

export interface EventStreamsOptions {
  /** Lets a stream in, as `limitOpen` does. */
  enter(): () => void
  /** Fires when the process stops. */
  readonly stopping: AbortSignal
  readonly heartbeatMs?: number
  readonly slowAfterMs?: number
}

/** Often enough for any proxy that cuts off quiet connections, and to find out soon who has gone without a word. */
const HEARTBEAT_MS = 5000
/** Who has taken nothing for so long does not read; what it could not take lies in our memory. */
const SLOW_AFTER_MS = 30_000
const RETRY_AFTER_SECONDS = 5

/**
 * The option `sse` of a route that streams: its handler decides whether it does. The messages are JSON text already, and a
 * carriage return between two members of a payload would end a line of the stream.
 */
export const SSE_ROUTE = {
  kind: 'manual',
  serializer: (data: unknown) => (data as string).replaceAll('\r', '\n'),
} as const

/** How the streams that are open are cut. */
const cuts = new WeakMap<FastifyReply, EventStream['cut']>()

/** End an answer before its time: a stream is told why, of another answer there is nothing that could be told. */
export function endAnswer(reply: FastifyReply, reason: CutReason, detail: string): void {
  const cut = cuts.get(reply)
  if (cut && reply.raw.headersSent) cut(reason, detail)
  else reply.raw.destroy()
}

/** Server-sent events for the routes of a server that are added after this. */
export async function openEventStreams(
  server: AppServer,
  { enter, stopping, heartbeatMs = HEARTBEAT_MS, slowAfterMs = SLOW_AFTER_MS }: EventStreamsOptions,
): Promise<EventStreams> {
  // The package's types name as default what is the module itself.
  await server.register(fastifySse as unknown as typeof fastifySse.default, { heartbeatInterval: heartbeatMs })
  return {
    async run(reply, work) {
      const leave = enter()
      const stream = streamOf(reply, { stopping, slowAfterMs })
      cuts.set(reply, stream.cut)
      try {
        return await work(stream)
      } finally {
        if (stopping.aborted) stream.cut('stopping', 'This process stops; come again with Last-Event-ID.')
        leave()
      }
    },
  }
}

/** Let so many in at a time; the answer is how one leaves. Throws ProblemError `stream.too_many` when there is no room. */
export function limitOpen({ max, onCount }: { max: number; onCount?(open: number): void }): () => () => void {
  let open = 0
  return () => {
    if (open >= max) {
      const detail = `${open} streams and waiting readers are open in this process, and more are not allowed.`
      throw new ProblemError('stream.too_many', detail, { retryAfterSeconds: RETRY_AFTER_SECONDS })
    }
    open++
    onCount?.(open)
    let left = false
    return () => {
      if (left) return
      left = true
      open--
      onCount?.(open)
    }
  }
}

/**
 * `over` fires when an answer is sent or its client has gone, when the process stops, or by `end`. Not by AbortSignal.any: of
 * each signal that it makes with one that lives on, Node 24 keeps some 80 bytes for ever.
 */
export function endOf(reply: FastifyReply, stopping: AbortSignal): { over: AbortSignal; end(): void } {
  const ending = new AbortController()
  const end = () => ending.abort()
  stopping.addEventListener('abort', end, { once: true })
  if (stopping.aborted) end()
  reply.raw.once('close', () => {
    stopping.removeEventListener('abort', end)
    end()
  })
  return { over: ending.signal, end }
}

function streamOf(
  reply: FastifyReply,
  { stopping, slowAfterMs }: { stopping: AbortSignal; slowAfterMs: number },
): EventStream {
  const { over, end } = endOf(reply, stopping)
  let begun = false
  let closed = false
  reply.raw.once('close', () => {
    closed = true
  })

  const cut = (reason: CutReason, detail: string) => {
    if (!begun || closed) return
    closed = true
    end()
    // It waits behind what is not taken yet, and nobody waits for it; whoever does not even take that is let go.
    reply.sse.send({ event: CUT, data: JSON.stringify({ reason, detail }) }).catch(() => undefined)
    reply.sse.close()
    const timer = setTimeout(() => reply.raw.destroy(), slowAfterMs)
    reply.raw.once('close', () => clearTimeout(timer))
  }

  return {
    over,
    cut,
    begin() {
      begun = true
      // A connection kept open after its stream would hold a stop up.
      reply.header('connection', 'close')
      reply.sse.sendHeaders()
      // Node keeps headers back until the first byte of a body, which may be long in coming.
      reply.raw.flushHeaders()
    },
    async send({ kind, id, data }) {
      if (over.aborted) return
      const ended = Promise.withResolvers<void>()
      const goOn = () => ended.resolve()
      over.addEventListener('abort', goOn, { once: true })
      const timer = setTimeout(
        () => cut('slow', `Nothing was read for ${slowAfterMs / 1000} s; come again with Last-Event-ID.`),
        slowAfterMs,
      )
      const sent = reply.sse.send({ event: kind, data, ...(id !== undefined && { id }) })
      // It rejects only because the connection is closed, which `over` says as well.
      await Promise.race([sent.catch(goOn), ended.promise])
      clearTimeout(timer)
      over.removeEventListener('abort', goOn)
    },
  }
}

/** One look for all who wait at the same time, at most once in `everyMs`. */
export function shareLooks<Seen>(look: () => Promise<Seen>, everyMs: number): () => Promise<Seen> {
  let looking: Promise<Seen> | undefined
  const later = async () => {
    await new Promise((resolve) => setTimeout(resolve, everyMs))
    return look()
  }
  return () => {
    looking ??= later().finally(() => {
      looking = undefined
    })
    return looking
  }
}
