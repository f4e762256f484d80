import { createCipheriv, createDecipheriv, createHmac, hash, randomBytes } from 'node:crypto'

/**
 * What secrets are kept under. The first key seals, each opens what it sealed: a new key is put in front, what is kept is
 * sealed again, then the old one can go.
 */
export interface MasterKeys {
  /** The key that seals; names no key to anybody who does not have it. */
  readonly id: string
  /** Text that only these keys open, and only for the same place. */
  seal(text: string, place: string): string
  /** @throws UnknownMasterKeyError when another key sealed it; Error when it was changed or belongs to another place. */
  open(sealed: string, place: string): string
  /** The key that sealed something. */
  sealedBy(sealed: string): string
  /** 32 bytes that belong to a purpose and that nobody can compute without the first key. */
  derive(purpose: string): Buffer
}

/** Something is sealed with a master key that this process was not given. */
export class UnknownMasterKeyError extends Error {
  override readonly name = 'UnknownMasterKeyError'
}

/** AES-256-GCM, as SP 800-38D has it: a nonce of 96 random bits, a tag of 128. */
const CIPHER = 'aes-256-gcm'
const NONCE_BYTES = 12
const TAG_BYTES = 16
/** Of the envelope: what stands behind it may change with it. */
const VERSION = 'v1'
export const MASTER_KEY_BYTES = 32

/** A master key as text: 32 bytes in hex, as `openssl rand -hex 32` makes them, or in base64. Undefined when it is none. */
export function parseMasterKey(text: string): Buffer | undefined {
  if (/^[0-9a-f]{64}$/i.test(text)) return Buffer.from(text, 'hex')
  if (!/^[A-Za-z0-9+/_-]{43}=?$/.test(text)) return undefined
  return Buffer.from(text, 'base64')
}

export function createMasterKeys(keys: readonly [Buffer, ...Buffer[]]): MasterKeys {
  const byId = new Map(keys.map((key) => [idOf(key), key]))
  const [first] = keys
  const id = idOf(first)
  return {
    id,
    seal(text, place) {
      const nonce = randomBytes(NONCE_BYTES)
      const cipher = createCipheriv(CIPHER, first, nonce).setAAD(Buffer.from(place))
      const sealed = Buffer.concat([nonce, cipher.update(text, 'utf8'), cipher.final(), cipher.getAuthTag()])
      return `${VERSION}.${id}.${sealed.toString('base64url')}`
    },
    open(sealed, place) {
      const [version, keyId = '', text = ''] = sealed.split('.')
      const key = version === VERSION ? byId.get(keyId) : undefined
      if (!key)
        throw new UnknownMasterKeyError(
          `${place} is sealed with the master key ${keyId || '?'}, and this process has ${[...byId.keys()].join(', ')}`,
        )
      const bytes = Buffer.from(text, 'base64url')
      const decipher = createDecipheriv(CIPHER, key, bytes.subarray(0, NONCE_BYTES), { authTagLength: TAG_BYTES })
      decipher.setAAD(Buffer.from(place)).setAuthTag(bytes.subarray(-TAG_BYTES))
      return decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES), undefined, 'utf8') + decipher.final('utf8')
    },
    sealedBy: (sealed) => sealed.split('.')[1] ?? '',
    derive: (purpose) => createHmac('sha256', first).update(`millrace ${purpose}`).digest(),
  }
}

/** Names a key without telling of it: a hash with a purpose of its own, cut to what tells a few keys apart. */
function idOf(key: Buffer): string {
  return hash('sha256', Buffer.concat([Buffer.from('millrace master key id '), key]), 'hex').slice(0, 8)
}
