import { lookup as resolveName } from 'node:dns'
import { isIP } from 'node:net'
import { ProblemError } from '@millrace/contracts'
import type { TargetPolicy } from './open-ranges.ts'
import { type Resolve, refusalText } from './target-connector.ts'

export interface TargetCheck {
  /**
   * Refuse a URL that nothing could be delivered to, with the field that it stands in; resolves with it as it will be used:
   * without a trailing slash, the host in its one true notation.
   */
  check(url: string, where: { readonly namespace: string; readonly pointer: string }): Promise<string>
}

/** A name server that is slow must not hold up an apply; what it would have said is checked when a delivery connects. */
const RESOLVE_MS = 2000

/**
 * Checks addresses when they are registered, so that whoever registers a bad one is told. It guards nothing: that is done
 * when a delivery connects, because names change what they mean.
 */
export function createTargetCheck(policy: TargetPolicy, resolve: Resolve = resolveName): TargetCheck {
  return {
    async check(text, { namespace, pointer }) {
      const url = plainUrl(text, pointer)
      const host = url.hostname.replace(/^\[(.*)\]$/, '$1')
      const ranges = policy.of(namespace)
      const addresses = isIP(host) ? [host] : await addressesOf(host, resolve)
      if (addresses.length > 0 && addresses.every((address) => ranges.refusal(address) !== undefined))
        throw refusal('target.refused', pointer, refusalText(host, addresses, ranges))
      return url.href.replace(/\/$/, '')
    },
  }
}

/** What is left of the tricks once the URL parser has read it: it knows one notation for each address. */
function plainUrl(text: string, pointer: string): URL {
  const refuse = (detail: string) => refusal('request.invalid', pointer, detail)
  // The parser drops these without a word, so what is read would not be what was written.
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
  if (/[\x00-\x20\x7f\\]/.test(text))
    throw refuse('must not hold spaces, line breaks, control characters or backslashes')
  if (!URL.canParse(text)) throw refuse(`"${text}" is not a URL; expected one such as http://127.0.0.1:3000`)
  const url = new URL(text)
  if (url.protocol !== 'http:' && url.protocol !== 'https:')
    throw refuse(`has the scheme ${url.protocol} where http or https is expected`)
  if (url.username || url.password) throw refuse('must not hold a user name or password')
  if (url.hash) throw refuse('must not hold a fragment')
  return url
}

/** None when the name does not resolve (yet): a service may be registered before it is there. */
function addressesOf(name: string, resolve: Resolve): Promise<string[]> {
  const { promise, resolve: answer } = Promise.withResolvers<string[]>()
  const timer = setTimeout(answer, RESOLVE_MS, [])
  resolve(name, { all: true }, (error, addresses) => answer(error ? [] : addresses.map(({ address }) => address)))
  return promise.finally(() => clearTimeout(timer))
}

function refusal(code: 'request.invalid' | 'target.refused', pointer: string, detail: string): ProblemError {
  return new ProblemError(code, `${pointer.slice(1)} ${detail}.`, { errors: [{ pointer, detail }] })
}
