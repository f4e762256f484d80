import type { Partition } from '@millrace/streams'
import { type Authenticator, createAuthenticator } from './authenticator.ts'
import { createKeyStore, type KeyStore } from './key-store.ts'
import { createQuotas, type Quotas } from './quotas.ts'
import { createTokenVerifier } from './token-verifier.ts'

/** The variables that say whether requests need a key or a token. Read by each app's configuration. */
export interface AccessConfig {
  readonly MILLRACE_ADMIN_KEY?: string | undefined
  readonly MILLRACE_JWKS_URL?: string | undefined
  readonly MILLRACE_JWT_ISSUER?: string | undefined
  readonly MILLRACE_JWT_AUDIENCE?: string | undefined
  readonly MILLRACE_JWT_CLAIM: string
  readonly MILLRACE_RATE_LIMIT: number
  readonly MILLRACE_METRICS_KEY?: string | undefined
}

/** Whether a key or a token is needed. */
export function isGuarded({ MILLRACE_ADMIN_KEY, MILLRACE_JWKS_URL }: AccessConfig): boolean {
  return MILLRACE_ADMIN_KEY !== undefined || MILLRACE_JWKS_URL !== undefined
}

/** The keys of an installation, and how requests are authenticated; not at all where nothing is configured. `now` in ms. */
export function createAccess(
  config: AccessConfig,
  { registry, now }: { registry: Partition; now: () => number },
): { keys: KeyStore; authenticate: Authenticator | undefined; quotas: Quotas; metricsKey: string | undefined } {
  const keys = createKeyStore(registry, now)
  const quotas = createQuotas({ keyRate: config.MILLRACE_RATE_LIMIT, now })
  const metricsKey = config.MILLRACE_METRICS_KEY
  if (!isGuarded(config)) return { keys, authenticate: undefined, quotas, metricsKey }
  const jwksUrl = config.MILLRACE_JWKS_URL
  const tokens = jwksUrl && {
    tokens: createTokenVerifier({
      jwksUrl,
      issuer: config.MILLRACE_JWT_ISSUER,
      audience: config.MILLRACE_JWT_AUDIENCE,
      claim: config.MILLRACE_JWT_CLAIM,
    }),
  }
  const adminKey = config.MILLRACE_ADMIN_KEY
  return {
    keys,
    quotas,
    metricsKey,
    authenticate: createAuthenticator({ keys, now, ...(adminKey !== undefined && { adminKey }), ...tokens }),
  }
}
