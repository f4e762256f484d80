import { createPrivateKey, hash, sign } from 'node:crypto'

/** What a request is signed over: Standard Webhooks 1.0.0, "Signature scheme". */
export interface SignedContent {
  /** `webhook-id`; it has no dot. */
  readonly id: string
  /** `webhook-timestamp`: seconds. */
  readonly timestamp: string
  /** The body, whose UTF-8 bytes are what goes out. */
  readonly body: string
}

/** A key that is ready to sign with: `v1,…` (HMAC-SHA256, 1 µs) or `v1a,…` (Ed25519, 85 µs). */
export type SigningKey = (content: SignedContent) => string

const SECRET = /^(whsec|whsk)_([A-Za-z0-9+/]+={0,2})$/
/** How RFC 8410 writes a private key of Ed25519 in DER: this, and then the seed. */
const PKCS8_HEAD = Buffer.from('302e020100300506032b657004220420', 'hex')
const SEED_BYTES = 32
/** Bytes that SHA-256 takes at a time, and those of what it makes (FIPS 180-4). */
const BLOCK_BYTES = 64
const DIGEST_BYTES = 32

/**
 * A secret as text (`whsec_…`, `whsk_…`), made ready once.
 *
 * @throws Error when the text is no secret. It is not repeated in the message.
 */
export function createSigningKey(secret: string): SigningKey {
  const [, kind, text = ''] = SECRET.exec(secret) ?? []
  const bytes = Buffer.from(text, 'base64')
  if (kind === 'whsec') return hmacKey(bytes)
  if (kind === 'whsk' && bytes.length >= SEED_BYTES) return ed25519Key(bytes.subarray(0, SEED_BYTES))
  throw new Error('not a signing secret: expected whsec_ or whsk_ and base64')
}

/**
 * HMAC by its definition (RFC 2104, section 2), of two hashes that each take one call: `createHmac` looks its algorithm up
 * and prepares a context anew for each signature, which takes as long as the rest of it.
 */
function hmacKey(bytes: Buffer): SigningKey {
  const key = bytes.length > BLOCK_BYTES ? hash('sha256', bytes, 'buffer') : bytes
  const inner = padded(key, 0x36)
  const outer = Buffer.concat([padded(key, 0x5c), Buffer.alloc(DIGEST_BYTES)])
  return ({ id, timestamp, body }) => {
    const before = `${id}.${timestamp}.`
    // A character takes three bytes of UTF-8 at most.
    const most = BLOCK_BYTES + 3 * (before.length + body.length)
    if (most > scratch.length) scratch = Buffer.allocUnsafeSlow(most)
    scratch.set(inner)
    const from = BLOCK_BYTES + scratch.write(before, BLOCK_BYTES)
    const end = from + scratch.write(body, from)
    outer.write(hash('sha256', scratch.subarray(0, end), 'binary'), BLOCK_BYTES, 'binary')
    return `v1,${hash('sha256', outer, 'base64')}`
  }
}

/** Where what is signed is put together; it grows with the largest, which the limit of a payload bounds. */
let scratch = Buffer.allocUnsafeSlow(16 * 1024)

/** The key, filled up with zeros to a block, and the pad in each byte of it. */
function padded(key: Uint8Array, pad: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES, pad)
  for (const [index, byte] of key.entries()) block[index] = byte ^ pad
  return block
}

function ed25519Key(seed: Buffer): SigningKey {
  const key = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: 'der', type: 'pkcs8' })
  return ({ id, timestamp, body }) =>
    `v1a,${sign(null, Buffer.from(`${id}.${timestamp}.${body}`), key).toString('base64')}`
}
