import { ProblemError, REQUEST_LIMITS } from '@millrace/contracts'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Principal } from './principal.ts'
import { createRateLimiter, type RateLimiter } from './rate-limiter.ts'

/** Counts what comes in, and refuses with 429 who has used up theirs. */
export interface Quotas {
  /** A request with a valid key or token: all requests of one count together, from wherever they come. */
  ofPrincipal(principal: Principal, reply: FastifyReply): void
  /** A request without one: to a route that is open, or with a key that is refused. */
  ofAddress(request: FastifyRequest, reply: FastifyReply): void
}

/** `keyRate` in requests a minute, `now` in ms. */
export function createQuotas({ keyRate, now }: { keyRate: number; now: () => number }): Quotas {
  const keys = createRateLimiter('key', { perMinute: keyRate, now })
  const addresses = createRateLimiter('address', { perMinute: REQUEST_LIMITS.addressRate.value, now })
  return {
    ofPrincipal: ({ id }, reply) => take(keys, id, reply),
    ofAddress: ({ ip }, reply) => take(addresses, ip, reply),
  }
}

/** The headers of draft-ietf-httpapi-ratelimit-headers-11. */
function take(limiter: RateLimiter, who: string, reply: FastifyReply): void {
  const { isSpent, remaining, resetSeconds } = limiter.take(who)
  reply.header('ratelimit-policy', limiter.policy)
  reply.header('ratelimit', `"${limiter.name}";r=${remaining};t=${resetSeconds}`)
  if (!isSpent) return
  const whose = limiter.name === 'key' ? 'this key' : 'this address'
  const detail = `The requests of ${whose} are used up for ${resetSeconds} s: ${limiter.policy}.`
  throw new ProblemError('request.rate_limited', detail, { retryAfterSeconds: resetSeconds })
}
