import { type HostAndPort, readRedisUrl } from '@millrace/contracts'
import { type ClusterAddress, topologyOf } from './topology.ts'

export interface NamedServer extends HostAndPort {
  readonly role: 'primary' | 'replica'
  /** With the login of the URL that it was found through. */
  readonly url: string
}

/**
 * The servers of a cluster, primaries first; undefined where the URL is not of a cluster.
 *
 * @throws Error when none of them can be asked.
 */
export async function clusterServers(url: string): Promise<NamedServer[] | undefined> {
  const address = readRedisUrl(url)
  if (address.kind !== 'cluster') return undefined
  const nodes = await topologyOf(url, address).nodes()
  return nodes.map((node) => ({ ...node, url: urlOf(node, address) }))
}

function urlOf({ host, port }: HostAndPort, { tls, username = '', password }: ClusterAddress): string {
  const login = password === undefined ? '' : `${encodeURIComponent(username)}:${encodeURIComponent(password)}@`
  return `${tls ? 'rediss' : 'redis'}://${login}${host.includes(':') ? `[${host}]` : host}:${port}`
}
