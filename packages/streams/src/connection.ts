import { readRedisUrl } from '@millrace/contracts'
import { certificateAdvice } from '@millrace/contracts/certificate-advice'
import { Redis, type RedisOptions } from 'ioredis'
import { leaveWhenReplaced } from './cluster/sentinel-watch.ts'
import { serverOf } from './cluster/server-of.ts'

/** What a connection tells about itself; a logger fits. */
export interface ConnectionLog {
  warn(fields: Record<string, unknown>, message: string): void
}

export interface ConnectionOptions {
  /** As `readRedisUrl` takes it. */
  readonly url: string
  /** On a cluster: the partition whose primary this connection goes to, wherever it is; the registry's unless told. */
  readonly partition?: number
  readonly role: string
  readonly log?: ConnectionLog
  /** It was lost, and stands again. */
  onReconnect?(): void
}

/**
 * A connection that owes an answer for this long is dead, whatever TCP says, and is made anew; a half-open one would
 * otherwise hold a dispatcher for a quarter of an hour. Shorter than a lease of 6 s, longer than any of our scripts.
 */
const ANSWER_DEADLINE_MS = 5000
/**
 * Each connection asks this often whether the other end is still there: a subscriber hears nothing for hours on a quiet night, and
 * one that stands by is to be alive when its turn comes. So a half-open one is found within this and the deadline.
 */
const PING_MS = 5000

/**
 * The connection for scripts. Nothing is queued while Redis is away and nothing is sent twice: a caller learns at once
 * that a command failed, or that its fate is unknown, and decides itself. A client that silently sends an enqueue again
 * would make two jobs of one; one that sends a claim again would leave the first claim's jobs in nobody's hands.
 */
export function connect(options: ConnectionOptions): Redis {
  return create(options, {
    enableOfflineQueue: false,
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    socketTimeout: ANSWER_DEADLINE_MS,
  })
}

/**
 * A connection for blocking reads of up to `blockMs`. Redis answers each of them, with nothing when nothing came; a read that
 * is not answered says that the connection is dead, and fails. The reader's loop then asks again from where it stands. (The
 * client's own `blockingTimeout` would call that an empty read, and go on with the dead connection.)
 */
export function connectBlocking({ blockMs, ...options }: ConnectionOptions & { blockMs: number }): Redis {
  return create(options, {
    autoResendUnfulfilledCommands: false,
    maxRetriesPerRequest: 0,
    enableOfflineQueue: false,
    socketTimeout: blockMs + ANSWER_DEADLINE_MS,
  })
}

/**
 * A connection for pub/sub; it subscribes again by itself after a reconnect. A cluster passes what is published to all of its nodes, so
 * any of them will do.
 */
export function connectSubscriber(options: Omit<ConnectionOptions, 'partition'>): Redis {
  return create(
    options,
    { maxRetriesPerRequest: null, autoResubscribe: true, socketTimeout: ANSWER_DEADLINE_MS },
    { anyNode: true },
  )
}

/** Redis cannot be worked with; the message says why, and what to do where that is known. */
export class RedisUnreachableError extends Error {
  override readonly name = 'RedisUnreachableError'
}

/**
 * Resolves when the connection can take commands. Rejects with RedisUnreachableError after the deadline, and at once when the server's
 * certificate is refused: a server that starts is worth waiting for, a certificate stays what it is.
 */
export async function whenReady(redis: Redis, { timeoutMs }: { timeoutMs: number }): Promise<void> {
  if (redis.status === 'ready') return
  let lastError: Error | undefined
  let timer: NodeJS.Timeout | undefined
  let onError: (error: Error) => void = () => undefined
  try {
    await new Promise<void>((resolve, reject) => {
      onError = (error) => {
        lastError = error
        const advice = certificateAdvice(error)
        if (advice) reject(refusedCertificate(error, advice))
      }
      redis.on('error', onError)
      redis.once('ready', resolve)
      timer = setTimeout(() => reject(silent(lastError, timeoutMs)), timeoutMs)
    })
  } finally {
    clearTimeout(timer)
    redis.off('error', onError)
  }
}

function refusedCertificate(error: Error, advice: string): RedisUnreachableError {
  return new RedisUnreachableError(`The certificate of Redis was refused: ${error.message}. ${advice}`, {
    cause: error,
  })
}

const NO_CONNECTION = 'no connection'
/**
 * What one end says in plain text and the other takes for TLS looks like a server that hangs up, or is silent. Of sentinels the client
 * says no more than that their connections were closed, also when it was for a certificate.
 */
const MAY_BE_TLS = new RegExp(`${NO_CONNECTION}|ECONNRESET|ETIMEDOUT|EPIPE|SSL|TLS|sentinels are unreachable`)
const ABOUT_TLS =
  'If it is there: the URL has to begin with rediss:// where its port speaks TLS, and with redis:// where it does not; its certificate has to be trusted (NODE_EXTRA_CA_CERTS), and of clients it must not ask for one (tls-auth-clients no)'

function silent(error: Error | undefined, timeoutMs: number): RedisUnreachableError {
  const says = (error?.message ?? NO_CONNECTION).replace(/\.$/, '')
  const hint = MAY_BE_TLS.test(says) ? `. ${ABOUT_TLS}` : ''
  return new RedisUnreachableError(`Redis did not answer within ${timeoutMs} ms: ${says}${hint}`, { cause: error })
}

function create(options: ConnectionOptions, client: RedisOptions, { anyNode = false } = {}): Redis {
  const { role, log, onReconnect } = options
  const common: RedisOptions = {
    ...client,
    connectionName: `millrace-${role}`,
    // It has to find the server that is in charge now.
    reconnectOnError: (error) => NOT_IN_CHARGE.test(error.message),
    // Reconnect quickly at first, then once a second: a blip must not cost more than it lasted.
    retryStrategy: (times) => Math.min(times * 50, 1000),
  }
  const server = serverOf(options, { anyNode })
  const redis = typeof server === 'string' ? new Redis(server, common) : new Redis({ ...common, ...server })
  const address = readRedisUrl(options.url)
  if (address.kind === 'sentinel') leaveWhenReplaced(redis, options.url, address)
  redis.on('error', (error: Error) => {
    const fix = certificateAdvice(error)
    const fields = { event: 'redis.connection_error', role, error: error.message, ...(fix && { fix }) }
    log?.warn(fields, 'redis connection error')
  })
  redis.once('ready', () => redis.on('ready', () => onReconnect?.()))
  const pinging = setInterval(() => {
    if (redis.status === 'ready') redis.ping().catch(() => undefined)
  }, PING_MS)
  pinging.unref()
  redis.once('end', () => clearInterval(pinging))
  return redis
}

/** Errors of the client that have no code: what a command gets whose connection is not there, or went away under it. */
const CLIENT_ERRORS =
  /Connection is closed|isn't writeable|max retries per request|timed out|Socket timeout|Command aborted/
/** Codes of a socket: ECONNRESET and the like, and of a stream that went away while it was written to. */
const SOCKET_ERRORS = /^E(?:[A-Z]+|RR_STREAM_[A-Z_]+|RR_SOCKET_[A-Z_]+)$/
/** Replies of a server that is there and cannot serve just now. */
const AWAY_REPLIES = /^(LOADING|READONLY|MASTERDOWN|CLUSTERDOWN|MOVED|ASK|TRYAGAIN|NOREPLICAS|BUSY|MISCONF|UNBLOCKED)\b/
/**
 * Replies of a server that is not, or is no more, the one to ask: a primary that became a replica, a slot that lies elsewhere, a node
 * that has lost the rest of its cluster. Not `ASK`: a slot that is just being moved belongs to its old node until all of it is over.
 */
const NOT_IN_CHARGE = /^(READONLY|MOVED|CLUSTERDOWN|MASTERDOWN)\b/

/**
 * True when Redis is away or the fate of the command is unknown. A mistake of our own (a wrong type, a script error) is
 * neither, and must not hide among them.
 */
export function isConnectionError(error: unknown): boolean {
  if (!(error instanceof Error)) return false
  if (error.name === 'ReplyError') return AWAY_REPLIES.test(error.message)
  const code = (error as NodeJS.ErrnoException).code
  return (code !== undefined && SOCKET_ERRORS.test(code)) || CLIENT_ERRORS.test(error.message)
}

export function isOutOfMemory(error: unknown): boolean {
  return error instanceof Error && error.name === 'ReplyError' && /\bOOM\b/.test(error.message)
}
