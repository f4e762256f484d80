import { MillraceError } from '../errors.ts'
import type { VerifyOptions } from './verify.ts'

export interface MiddlewareOptions extends VerifyOptions {
  /** Read of a body that nobody has verified yet; 5 MiB unless told. A batch has 4 MiB at most, a job what `MILLRACE_MAX_JOB_BYTES` says. */
  readonly maxBodyBytes?: number
}

export const MAX_BODY_BYTES = 5 * 1_048_576

/** All bytes of a body. @throws MillraceError `sdk.body_too_large` as soon as there are more than allowed. */
export async function readBody(chunks: AsyncIterable<Uint8Array | string> | null, maxBytes: number): Promise<Buffer> {
  const read: Buffer[] = []
  let bytes = 0
  for await (const chunk of chunks ?? []) {
    const part = Buffer.from(chunk as Uint8Array)
    bytes += part.length
    if (bytes > maxBytes) {
      throw new MillraceError(
        `The body has more than ${maxBytes} bytes. If it is a delivery, allow more with maxBodyBytes.`,
        { code: 'sdk.body_too_large', status: 413 },
      )
    }
    read.push(part)
  }
  return Buffer.concat(read)
}

/** What a request is answered with that is no delivery; undefined for mistakes of the service's own. */
export interface Refusal {
  readonly status: number
  readonly type: 'application/problem+json'
  /** A problem document (RFC 9457). */
  readonly body: string
}

const STATUSES: Readonly<Record<string, number | undefined>> = {
  'sdk.signature_missing': 401,
  'sdk.signature_expired': 401,
  'sdk.signature_invalid': 401,
  'sdk.body_too_large': 413,
}

export function refusalOf(error: unknown): Refusal | undefined {
  if (!(error instanceof MillraceError)) return undefined
  const status = STATUSES[error.code]
  if (status === undefined) return undefined
  const title = status === 401 ? 'The request is no delivery of Millrace' : 'The body is larger than the limit'
  const problem = { type: `urn:millrace:problem:${error.code}`, title, status, detail: error.message, code: error.code }
  return { status, type: 'application/problem+json', body: JSON.stringify(problem) }
}

export function isJson(contentType: string | undefined): boolean {
  return /^application\/(?:[\w.-]+\+)?json\s*(?:;|$)/i.test(contentType ?? '')
}
