import { type AddressKind, isWithin, kindOf, parseAddress, parseRange, type Range } from './address-kind.ts'

const WORDS = ['public', 'private', 'loopback'] as const
type Word = (typeof WORDS)[number]

/** The addresses that deliveries of a namespace may go to. */
export interface OpenRanges {
  /** As they were configured, for messages. */
  readonly text: string
  /** Undefined when the address is open, else what it is that makes it not so. */
  refusal(address: string): AddressKind | 'no address' | undefined
}

/** `MILLRACE_TARGETS` as it was read: what is open to all namespaces, and to some besides. */
export interface TargetPolicy {
  /** The same object for the same ranges, so that connections can be kept by it. */
  of(namespace: string): OpenRanges
}

/**
 * Read `public,10.20.0.0/16,shop=10.30.0.0/16`: words and ranges, for all namespaces or for one. Throws an Error that says
 * what is wrong with which part.
 */
export function parseTargets(text: string): TargetPolicy {
  const parts = text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parsePart)
  const common = parts.filter(({ namespace }) => namespace === undefined)
  const forAll = openRanges(common)
  const own = new Map<string, OpenRanges>()
  for (const { namespace } of parts) {
    if (namespace === undefined || own.has(namespace)) continue
    own.set(namespace, openRanges([...common, ...parts.filter((part) => part.namespace === namespace)]))
  }
  return { of: (namespace) => own.get(namespace) ?? forAll }
}

interface Part {
  readonly namespace: string | undefined
  readonly range: string
  readonly open: Word | Range
}

function parsePart(part: string): Part {
  const [, namespace, range = ''] = /^(?:([a-z0-9-]+)=)?(.+)$/.exec(part) ?? []
  if (WORDS.some((word) => word === range)) return { namespace, range, open: range as Word }
  const open = parseRange(range)
  if (!open)
    throw new Error(
      `expected ${WORDS.join(', ')}, an address or a range such as 10.20.0.0/16, each for all or with a namespace before it (shop=10.20.0.0/16); got "${part}"`,
    )
  if (kindOf(open[0]) === 'closed' && open[1] > 0)
    throw new Error(`"${part}" is link-local, metadata or reserved, which is closed always`)
  return { namespace, range, open }
}

function openRanges(parts: readonly Part[]): OpenRanges {
  const words = new Set<unknown>(parts.map(({ open }) => open))
  const ranges = parts.flatMap(({ open }) => (typeof open === 'string' ? [] : [open]))
  return {
    text: parts.map(({ range }) => range).join(',') || 'nothing',
    refusal(text) {
      const address = parseAddress(text)
      if (!address) return 'no address'
      const kind = kindOf(address)
      const isOpen = kind !== 'closed' && (words.has(kind) || ranges.some((range) => isWithin(address, range)))
      return isOpen ? undefined : kind
    },
  }
}
