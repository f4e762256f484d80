import { type Grant, ProblemError, parseGrant } from '@millrace/contracts'
import type { JWTPayload } from 'jose'
import type { Principal } from './principal.ts'

export interface TokenOptions {
  /** Where the issuer publishes its public keys. */
  readonly jwksUrl: string
  readonly issuer?: string | undefined
  readonly audience?: string | undefined
  /** The claim with the grants: a list of `<role>:<namespace>`. */
  readonly claim: string
}

export type TokenVerifier = (token: string) => Promise<Principal>

/** Public-key signatures alone: with a shared secret every app that can check a token could make one. */
const ALGORITHMS = ['RS256', 'ES256', 'EdDSA']
/** How far the issuer's clock may be off. */
const TOLERANCE_SECONDS = 5

/** Tokens (JWT) of an issuer whose keys are at a URL. */
export function createTokenVerifier({ jwksUrl, issuer, audience, claim }: TokenOptions): TokenVerifier {
  // Loaded by those who take tokens alone: 45 of the 1,000 ms in which an app starts.
  const loaded = import('jose').then((jose) => ({
    jose,
    // jose fetches the keys when the first token comes, keeps them, and asks again for a key id that it does not know.
    keys: jose.createRemoteJWKSet(new URL(jwksUrl), { timeoutDuration: 3000 }),
  }))
  const options = {
    ...{ algorithms: ALGORITHMS, clockTolerance: TOLERANCE_SECONDS, requiredClaims: ['sub', 'exp'] },
    ...(issuer !== undefined && { issuer }),
    ...(audience !== undefined && { audience }),
  }
  return async (token) => {
    const { jose, keys } = await loaded
    const payload = await jose.jwtVerify(token, keys, options).then(
      (verified) => verified.payload,
      (error) => {
        throw toProblem(error, jose, jwksUrl)
      },
    )
    return { id: `token:${payload.sub}`, name: payload.sub as string, grants: grantsIn(payload, claim) }
  }
}

function grantsIn(payload: JWTPayload, claim: string): Grant[] {
  const said = payload[claim]
  if (!Array.isArray(said))
    throw new ProblemError('auth.invalid', `The token has no list of grants in its claim "${claim}".`)
  // Roles of other systems may stand beside ours in the same claim.
  return said.flatMap((text) => (typeof text === 'string' ? (parseGrant(text) ?? []) : []))
}

function toProblem(error: unknown, { errors }: typeof import('jose'), jwksUrl: string): ProblemError {
  const isToken =
    error instanceof errors.JOSEError && !(error instanceof errors.JWKSTimeout) && error.code !== 'ERR_JOSE_GENERIC'
  if (isToken) return new ProblemError('auth.invalid', `The token is refused: ${error.message}.`, { cause: error })
  return new ProblemError('auth.unavailable', `The issuer's keys cannot be read from ${new URL(jwksUrl).origin}.`, {
    retryAfterSeconds: 5,
    cause: error,
  })
}
