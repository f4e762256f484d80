import ipaddr from 'ipaddr.js'

/** What an IP address leads to. `closed` is never delivered to, whatever is configured. */
export type AddressKind = 'public' | 'private' | 'loopback' | 'closed'

type Address = ipaddr.IPv4 | ipaddr.IPv6
export type Range = [Address, number]

const v4 = (...ranges: string[]): [ipaddr.IPv4, number][] => ranges.map((range) => ipaddr.IPv4.parseCIDR(range))
const v6 = (...ranges: string[]): [ipaddr.IPv6, number][] => ranges.map((range) => ipaddr.IPv6.parseCIDR(range))

/**
 * In this order; the first that fits counts. From the special-purpose registries of IANA (RFC 6890), and the addresses under
 * which clouds answer whoever asks with the credentials of the machine: 169.254.169.254 is inside link-local, the others
 * stand in ranges that would be open.
 */
const KINDS_V4 = {
  closed: v4(
    '0.0.0.0/8', // "this host": Linux connects 0.0.0.0 to loopback
    '169.254.0.0/16', // link-local, and the metadata of most clouds
    '100.100.100.200/32', // metadata of Alibaba Cloud
    '168.63.129.16/32', // the host agent of Azure
    '192.0.0.0/24', // protocol assignments, and the metadata of Oracle's first cloud
    '192.0.2.0/24', // documentation, three of them
    '198.51.100.0/24',
    '203.0.113.0/24',
    '192.88.99.0/24', // relays of 6to4
    '224.0.0.0/4', // multicast
    '240.0.0.0/4', // reserved, and broadcast
  ),
  loopback: v4('127.0.0.0/8'),
  // What is one's own: RFC 1918, carrier-grade NAT (pods and VPNs live there), and benchmarking.
  private: v4('10.0.0.0/8', '172.16.0.0/12', '192.168.0.0/16', '100.64.0.0/10', '198.18.0.0/15'),
}
const KINDS_V6 = {
  loopback: v6('::1/128'),
  closed: v6(
    '::/96', // unspecified, and IPv4 in its first disguise
    'fe80::/10', // link-local
    'fec0::/10', // site-local, as it was called
    'ff00::/8', // multicast
    'fd00:ec2::/32', // metadata, time and identity of AWS
    'fd20:ce::254/128', // metadata of Google Cloud
    'fd00:c1::a9fe:a9fe/128', // metadata of Oracle Cloud
    '2001::/23', // protocol assignments, Teredo among them
    '2001:db8::/32', // documentation, two of them
    '3fff::/20',
    '2002::/16', // 6to4: an IPv4 address behind a relay that somebody else chose
  ),
  private: v6('fc00::/7'),
  // All that was ever given out. The rest (NAT64 of one's own, segment routing, discard) is nobody's endpoint.
  public: v6('2000::/3'),
}
/** NAT64: the last 32 bits are the IPv4 address that is meant. In a network of IPv6 alone, every IPv4 host has such a name. */
const NAT64 = ipaddr.IPv6.parseCIDR('64:ff9b::/96')

/** The address that a text means, with the disguises of IPv4 in IPv6 taken off; undefined when it is no IP address. */
export function parseAddress(text: string): Address | undefined {
  const [bare = ''] = text.split('%')
  // The library reads more notations than that; what asks here has been through the URL parser or the resolver.
  if (!ipaddr.IPv4.isValidFourPartDecimal(bare) && !ipaddr.IPv6.isValid(bare)) return undefined
  const address = ipaddr.process(bare)
  if (address.kind() === 'ipv6' && address.match(NAT64 as never))
    return ipaddr.fromByteArray(address.toByteArray().slice(12))
  return address
}

export function kindOf(address: Address): AddressKind {
  const [kinds, fallback] =
    address.kind() === 'ipv4' ? ([KINDS_V4, 'public'] as const) : ([KINDS_V6, 'closed'] as const)
  return ipaddr.subnetMatch(address, kinds, fallback) as AddressKind
}

export function isWithin(address: Address, [base, bits]: Range): boolean {
  return address.kind() === base.kind() && address.match(base as never, bits)
}

/** `10.0.0.0/8`, `fd12::/48` or a single address; undefined when it is neither. */
export function parseRange(text: string): Range | undefined {
  const [base = '', bits, ...more] = text.split('/')
  const address = parseAddress(base)
  if (!address || more.length > 0) return undefined
  const width = address.kind() === 'ipv4' ? 32 : 128
  const length = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : -1
  return length >= 0 && length <= width ? [address, length] : undefined
}
