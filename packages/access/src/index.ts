/**
 * Who may do what, and the secrets that deliveries are signed with.
 *
 * ```ts
 * const keys = createKeyStore(registryPartition(redis), Date.now)
 * const authenticate = createAuthenticator({ keys, now: Date.now })
 * guard(server, { table: ACCESS.dispatcher, authenticate })
 * const { key } = await keys.create({ name: 'shop', grants: [{ role: 'producer', namespace: 'shop' }] }, { who: 'ada' })
 * ```
 */
export { type AccessConfig, createAccess, isGuarded } from './access.ts'
export { type Authenticator, createAuthenticator } from './authenticator.ts'
export { type GuardOptions, guard } from './guard.ts'
export { type By, createKeyStore, type KeyStore, type StoredKey } from './key-store.ts'
export { isAllowed, type Principal } from './principal.ts'
export { createQuotas, type Quotas } from './quotas.ts'
export { masterKeyInFolder } from './signing/master-key-file.ts'
export { createMasterKeys, type MasterKeys, parseMasterKey, UnknownMasterKeyError } from './signing/master-keys.ts'
export {
  createSecretStore,
  parseSecrets,
  placeOf,
  type SecretStore,
  type StoredSecret,
} from './signing/secret-store.ts'
export { formatSigningSecret } from './signing/secret-text.ts'
export { createTokenVerifier, type TokenOptions, type TokenVerifier } from './token-verifier.ts'
