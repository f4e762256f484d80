/** A server as a URL names it. */
export interface HostAndPort {
  readonly host: string
  readonly port: number
}

/** Where Redis is, and in which shape: one server, a primary that sentinels know, or a cluster. */
export type RedisAddress =
  | { readonly kind: 'single'; readonly url: string }
  | (Shared & { readonly kind: 'cluster'; readonly nodes: readonly HostAndPort[] })
  | (Shared & {
      readonly kind: 'sentinel'
      readonly sentinels: readonly HostAndPort[]
      /** What the sentinels call the primary. */
      readonly name: string
      readonly db: number
      readonly sentinelUsername?: string
      readonly sentinelPassword?: string
    })

interface Shared {
  readonly tls: boolean
  readonly username?: string
  readonly password?: string
}

/** What a URL may look like, for whoever wrote another one. */
export const REDIS_URL_FORMS =
  'redis://, rediss:// or unix:///path/to.sock for one server, redis+cluster://host:port,host:port for a cluster, ' +
  'redis+sentinel://host:port,host:port/name for a primary that sentinels know (rediss+… with TLS)'

const DEFAULT_PORT = { cluster: 6379, sentinel: 26_379 } as const

/**
 * Read a Redis URL. Of one server it is left as it is; of several it is
 * `redis+cluster://[user:password@]host[:port][,host[:port]…]` or
 * `redis+sentinel://[user:password@]host[:port][,…]/name[/db][?sentinel_username=…&sentinel_password=…]`,
 * the spelling that Python's clients have given both.
 */
export function readRedisUrl(text: string): RedisAddress | { readonly kind: 'refused'; readonly reason: string } {
  if (/^(rediss?|unix):\/\//.test(text)) return { kind: 'single', url: text }
  const [, scheme, kind, authority, path = '', query = ''] =
    /^(rediss?)\+(cluster|sentinel):\/\/([^/?]*)(\/[^?]*)?(?:\?(.*))?$/.exec(text) ?? []
  if (authority === undefined) return refused(`expected ${REDIS_URL_FORMS}`)
  const at = authority.lastIndexOf('@')
  const [username, password] = (at < 0 ? '' : authority.slice(0, at)).split(':').map(decodeURIComponent)
  const shared: Shared = {
    tls: scheme === 'rediss',
    ...(username && { username }),
    ...(password && { password }),
  }
  const hosts = readHosts(authority.slice(at + 1), DEFAULT_PORT[kind as 'cluster' | 'sentinel'])
  if (typeof hosts === 'string') return refused(hosts)
  const [name = '', db = '0', ...rest] = path.slice(1).split('/').map(decodeURIComponent)
  const options = new URLSearchParams(query)
  if (kind === 'cluster') {
    if (name !== '' || query !== '') return refused('expected nothing behind the hosts: a cluster has no databases')
    return { kind, ...shared, nodes: hosts }
  }
  if (name === '')
    return refused('expected the name that the sentinels have for the primary: redis+sentinel://host:port/name')
  if (!/^\d+$/.test(db) || rest.length > 0) return refused('expected the number of a database behind the name')
  const strange = [...options.keys()].find((key) => !['sentinel_username', 'sentinel_password'].includes(key))
  if (strange !== undefined)
    return refused(`expected no option but sentinel_username and sentinel_password, not ${strange}`)
  const sentinelUsername = options.get('sentinel_username')
  const sentinelPassword = options.get('sentinel_password')
  return {
    ...{ kind: 'sentinel', ...shared, sentinels: hosts, name, db: Number(db) },
    ...(sentinelUsername && { sentinelUsername }),
    ...(sentinelPassword && { sentinelPassword }),
  }
}

/** The hosts, or what is wrong with them. */
function readHosts(text: string, defaultPort: number): HostAndPort[] | string {
  const hosts: HostAndPort[] = []
  for (const one of text.split(',')) {
    const [, host, port = String(defaultPort)] = /^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+)(?::(\d{1,5}))?$/.exec(one) ?? []
    if (host === undefined) return `expected host:port, not ${JSON.stringify(one)}`
    if (Number(port) < 1 || Number(port) > 65_535) return `expected a port from 1 to 65535, not ${port}`
    hosts.push({ host: host.replace(/^\[|\]$/g, ''), port: Number(port) })
  }
  return hosts
}

function refused(reason: string) {
  return { kind: 'refused', reason } as const
}
