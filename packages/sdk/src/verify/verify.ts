import { MillraceError } from '../errors.ts'
import { parseSecrets, type Secrets, type SignatureKey } from './secrets.ts'

/** A request as it came: the headers of Node, Fastify and Express, or those of `fetch`. */
export interface SignedRequest {
  readonly headers: Headers | Readonly<Record<string, string | readonly string[] | undefined>>
  /** The raw bytes. JSON that was parsed and written again has other bytes, and no signature fits them. */
  readonly body: Uint8Array | string
}

export interface VerifyOptions {
  /** How far from now a request may have been signed, before or after; 300 unless told, as Standard Webhooks says. */
  readonly toleranceSeconds?: number
  /** The clock, in ms since 1970. */
  now?(): number
}

/** What the headers of a verified request say. */
export interface Verified {
  /** `webhook-id`: the job, or the batch; the same in every attempt. */
  readonly id: string
  /** When this attempt was signed, to the second. */
  readonly signedAt: Date
}

const TOLERANCE_SECONDS = 300
/** Two secrets of two kinds make four. Whoever sends hundreds wants us to compute. */
const MAX_SIGNATURES = 10

/**
 * Find out whether a request is a delivery of Millrace: signed with one of the secrets, over these bytes, not long ago.
 * Standard Webhooks 1.0.0, versions `v1` and `v1a`.
 *
 * ```ts
 * const { id } = verify({ headers: request.headers, body: rawBytes }, process.env.MILLRACE_SIGNING_SECRET)
 * ```
 *
 * @throws MillraceError `sdk.signature_missing` (a header is not there, or is none), `sdk.signature_expired` (signed too
 * long ago, or in the future), `sdk.signature_invalid` (no signature fits): refuse the request, with 401.
 * `sdk.invalid_input`: the secret, or what was handed in as the body, is the mistake.
 */
export function verify(request: SignedRequest, secrets: Secrets | undefined, options: VerifyOptions = {}): Verified {
  return createVerifier(secrets, options)(request)
}

/** The same with secrets that are read once. @throws MillraceError `sdk.invalid_input` when a secret is none. */
export function createVerifier(
  secrets: Secrets | undefined,
  { toleranceSeconds = TOLERANCE_SECONDS, now = Date.now }: VerifyOptions = {},
): (request: SignedRequest) => Verified {
  const keys = parseSecrets(secrets)
  return ({ headers, body }) => {
    const id = headerOf(headers, 'webhook-id')
    const timestamp = headerOf(headers, 'webhook-timestamp')
    const signatures = headerOf(headers, 'webhook-signature')
    const content = contentOf(id, timestamp, body)
    const signedAt = timeOf(timestamp, { toleranceSeconds, nowMs: now() })
    if (!isSigned(content, signatures, keys)) throw invalidSignature(signatures, keys)
    return { id, signedAt }
  }
}

function headerOf(headers: SignedRequest['headers'], name: string): string {
  const value = isHeaders(headers) ? headers.get(name) : (headers[name] ?? ownName(headers, name))
  if (typeof value === 'string' && value !== '') return value
  throw new MillraceError(
    `The request has no header ${name}, so it is no delivery of Millrace, or something on its way took the header out.`,
    { code: 'sdk.signature_missing' },
  )
}

function isHeaders(headers: SignedRequest['headers']): headers is Headers {
  return typeof headers.get === 'function'
}

/** Node's headers are in lower case; those that somebody put together need not be. */
function ownName(headers: Readonly<Record<string, unknown>>, name: string): unknown {
  const key = Object.keys(headers).find((each) => each.toLowerCase() === name)
  return key === undefined ? undefined : headers[key]
}

function contentOf(id: string, timestamp: string, body: unknown): Buffer {
  if (typeof body === 'string' || body instanceof Uint8Array)
    return Buffer.concat([Buffer.from(`${id}.${timestamp}.`), typeof body === 'string' ? Buffer.from(body) : body])
  throw new MillraceError(
    'The body must be the raw bytes (Buffer, Uint8Array, or text that was not parsed): verify before anything parses it.',
    { code: 'sdk.invalid_input' },
  )
}

function timeOf(timestamp: string, { toleranceSeconds, nowMs }: { toleranceSeconds: number; nowMs: number }): Date {
  if (!/^\d{1,12}$/.test(timestamp)) {
    throw new MillraceError('webhook-timestamp is not a number of seconds.', { code: 'sdk.signature_missing' })
  }
  const signedAt = new Date(Number(timestamp) * 1000)
  const ageSeconds = Math.round((nowMs - signedAt.getTime()) / 1000)
  if (Math.abs(ageSeconds) <= toleranceSeconds) return signedAt
  const when = ageSeconds > 0 ? `${ageSeconds} s ago` : `${-ageSeconds} s in the future`
  throw new MillraceError(
    `The request was signed ${when}, and ${toleranceSeconds} s are allowed: it is an old one sent again, or the clock of one of the machines is wrong.`,
    { code: 'sdk.signature_expired' },
  )
}

function isSigned(content: Buffer, signatures: string, keys: readonly SignatureKey[]): boolean {
  return signatures
    .split(' ', MAX_SIGNATURES)
    .map((each) => each.split(',', 2) as [string, string?])
    .some(([version, text = '']) => {
      const signature = Buffer.from(text, 'base64')
      return keys.some((key) => key.version === version && key.fits(content, signature))
    })
}

function invalidSignature(signatures: string, keys: readonly SignatureKey[]): MillraceError {
  const has = versionsOf(signatures.split(' ', MAX_SIGNATURES).map((each) => each.split(',', 1)[0] ?? ''))
  const canCheck = versionsOf(keys.map(({ version }) => version))
  return new MillraceError(
    `No signature of the request (${has}) fits the secrets (${canCheck}). Is it the secret of this namespace (\`millrace secrets list\`), and is the body as it came?`,
    { code: 'sdk.signature_invalid' },
  )
}

/** What the header says is a stranger's text. */
function versionsOf(versions: readonly string[]): string {
  return [...new Set(versions.map((each) => (/^v1a?$/.test(each) ? each : 'unknown')))].join(', ')
}
