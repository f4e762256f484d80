import type { RedisAddress } from '@millrace/contracts'
import { Redis } from 'ioredis'

export type SentinelAddress = Extract<RedisAddress, { kind: 'sentinel' }>

interface Watch {
  readonly connections: Set<Redis>
  stop(): void
}

const SWITCHED = '+switch-master'
/** A sentinel that says nothing for so long is asked anew: a half-open connection would never tell. */
const PING_MS = 5000

const watches = new Map<string, Watch>()

/**
 * Has a connection made anew once sentinels put another server in the place of its primary. A primary that is dead closes its connections,
 * and one that is well and was replaced does not: it goes on taking writes, for ten seconds until sentinels make it a replica and throw
 * them away, and for as long as it is cut off from them. One watch serves all connections of the process to these sentinels.
 */
export function leaveWhenReplaced(redis: Redis, url: string, address: SentinelAddress): void {
  const watch = watches.get(url) ?? startWatch(address)
  watches.set(url, watch)
  watch.connections.add(redis)
  redis.once('end', () => {
    watch.connections.delete(redis)
    if (watch.connections.size > 0) return
    watch.stop()
    watches.delete(url)
  })
}

function startWatch(address: SentinelAddress): Watch {
  const connections = new Set<Redis>()
  const onSwitch = (message: string) => {
    const [name, , , host, port] = message.split(' ')
    if (name !== address.name) return
    // Any other is just asking where the primary is.
    const connected = [...connections].filter(({ status }) => status === 'connect' || status === 'ready')
    for (const redis of connected) if (!isAt(redis, host, port)) redis.disconnect(true)
  }
  const listeners = address.sentinels.map((sentinel) => listen(new Redis(listenerOptions(address, sentinel)), onSwitch))
  return {
    connections,
    stop() {
      for (const stop of listeners) stop()
    },
  }
}

function listenerOptions(
  { tls, sentinelUsername, sentinelPassword }: SentinelAddress,
  { host, port }: SentinelAddress['sentinels'][number],
) {
  return {
    ...{ host, port, enableReadyCheck: false, maxRetriesPerRequest: null, socketTimeout: PING_MS },
    ...(sentinelUsername && { username: sentinelUsername }),
    ...(sentinelPassword && { password: sentinelPassword }),
    ...(tls && { tls: {} }),
    retryStrategy: (times: number) => Math.min(times * 50, 1000),
  }
}

function listen(sentinel: Redis, onSwitch: (message: string) => void): () => void {
  // A sentinel that is away is nobody's trouble here: the others tell the same, and who connects hears of it.
  sentinel.on('error', () => undefined)
  sentinel.on('message', (_channel: string, message: string) => onSwitch(message))
  sentinel.subscribe(SWITCHED).catch(() => undefined)
  const pinging = setInterval(() => {
    if (sentinel.status === 'ready') sentinel.ping().catch(() => undefined)
  }, PING_MS)
  pinging.unref()
  return () => {
    clearInterval(pinging)
    sentinel.disconnect()
  }
}

function isAt({ stream }: Redis, host: string | undefined, port: string | undefined): boolean {
  const { remoteAddress, remotePort } = stream as { remoteAddress?: string; remotePort?: number }
  return remoteAddress === host && String(remotePort) === port
}
