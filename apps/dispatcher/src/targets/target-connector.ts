import { type LookupAddress, lookup as resolveName } from 'node:dns'
import { isIP, type LookupFunction, type OnReadOpts } from 'node:net'
import { buildConnector } from 'undici'
import type { OpenRanges } from './open-ranges.ts'

/** Resolves a name to all its addresses, as `dns.lookup` with `all` does. */
export type Resolve = (
  name: string,
  options: { readonly all: true },
  callback: (error: NodeJS.ErrnoException | null, addresses: LookupAddress[]) => void,
) => void

/** A delivery was to go to an address that is not open. Nothing was sent. */
export class TargetRefusedError extends Error {
  override readonly name = 'TargetRefusedError'
  readonly code = 'ERR_TARGET_REFUSED'
}

export interface TargetConnectorOptions {
  readonly timeoutMs: number
  readonly onread: OnReadOpts
  readonly resolve?: Resolve | undefined
}

/**
 * Opens connections to open addresses only. The address that is connected to is the one that was checked: the name is
 * resolved once, here, and what is not open is taken out before the socket sees it. So a name that answers differently
 * each time gains nothing, and requests on a connection that stands cost no check.
 */
export function createTargetConnector(
  ranges: OpenRanges,
  { timeoutMs, onread, resolve = resolveName }: TargetConnectorOptions,
): buildConnector.connector {
  const lookup: LookupFunction = (name, { all }, callback) => {
    resolve(name, { all: true }, (error, addresses) => {
      if (error) return callback(error, [])
      const open = addresses.filter(({ address }) => ranges.refusal(address) === undefined)
      const [first] = open
      if (!first) return callback(refused(name, addresses, ranges), [])
      if (all) callback(null, open)
      else callback(null, first.address, first.family)
    })
  }
  const connect = buildConnector({ timeout: timeoutMs, lookup, allowH2: false, onread })
  return (options, callback) => {
    const { hostname } = options
    // A socket looks nothing up where the host is an address already.
    if (isIP(hostname) === 0 || ranges.refusal(hostname) === undefined) return connect(options, callback)
    process.nextTick(() => callback(refused(hostname, [{ address: hostname, family: 0 }], ranges), null))
  }
}

/** Says what kind of address it was and not which: whoever sees a failed attempt need not learn one's inner network. */
function refused(host: string, addresses: readonly LookupAddress[], ranges: OpenRanges): TargetRefusedError {
  return new TargetRefusedError(
    refusalText(
      host,
      addresses.map(({ address }) => address),
      ranges,
    ),
  )
}

/** Why none of a host's addresses is open. */
export function refusalText(host: string, addresses: readonly string[], ranges: OpenRanges): string {
  const kinds = new Set(addresses.map((address) => ranges.refusal(address) ?? 'open'))
  const what = kinds.has('closed')
    ? 'leads to a link-local, metadata or reserved address, which is closed always'
    : `leads to a ${[...kinds].join(' and a ')} address, and MILLRACE_TARGETS opens ${ranges.text}`
  return `${host} ${what}`
}
