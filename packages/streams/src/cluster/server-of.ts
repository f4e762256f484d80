import { type HostAndPort, REGISTRY_PARTITION, readRedisUrl } from '@millrace/contracts'
import type { RedisOptions } from 'ioredis'
import { partitionKeys } from '../keys.ts'
import { connectorTo } from './slot-connector.ts'
import { type ClusterAddress, loginOf, topologyOf } from './topology.ts'

/** A server that takes no connection for so long is tried again, or the next one is: a failover takes less. */
const CONNECT_MS = 5000
/** A sentinel that stands still must not keep us from asking the next one. */
const SENTINEL_MS = 1000

/**
 * How a connection finds its server, at first and each time it is made anew: a URL that the client understands, or its options. On a
 * cluster that is the primary of a partition (the registry's unless told), or any node.
 *
 * @throws Error when the URL is none of those that Millrace takes.
 */
export function serverOf(
  { url, partition = REGISTRY_PARTITION }: { readonly url: string; readonly partition?: number },
  { anyNode }: { readonly anyNode: boolean },
): string | RedisOptions {
  const address = readRedisUrl(url)
  switch (address.kind) {
    case 'refused':
      throw new Error(`The URL of Redis is wrong: ${address.reason}`)
    case 'single':
      return url.startsWith('unix://') ? { path: url.slice('unix://'.length) } : url
    case 'cluster':
      return clusterOptions(url, address, anyNode ? undefined : partition)
    case 'sentinel': {
      const { tls, username, password, sentinelUsername, sentinelPassword } = address
      return {
        ...{ sentinels: [...address.sentinels], name: address.name, db: address.db, role: 'master' },
        ...(username && { username }),
        ...(password && { password }),
        ...(sentinelUsername && { sentinelUsername }),
        ...(sentinelPassword && { sentinelPassword }),
        ...(tls && { tls: {}, sentinelTLS: {}, enableTLSForSentinelMode: true }),
        ...{ connectTimeout: CONNECT_MS, sentinelCommandTimeout: SENTINEL_MS },
        sentinelRetryStrategy: (times) => Math.min(times * 50, 1000),
      }
    }
    default:
      return address satisfies never
  }
}

function clusterOptions(url: string, address: ClusterAddress, partition: number | undefined): RedisOptions {
  const topology = topologyOf(url, address)
  const find: () => Promise<HostAndPort> =
    partition === undefined ? topology.anyNode : () => topology.primaryOf(partitionKeys(partition).log)
  return {
    ...loginOf(address),
    connectTimeout: CONNECT_MS,
    Connector: connectorTo(find, { tls: address.tls, mustBePrimary: partition !== undefined }),
  }
}
