import { isUtf8 } from 'node:buffer'
import { ProblemError } from '@millrace/contracts'

export interface EventRequest {
  readonly contentType: string | undefined
  /** Every value of each header by its name in lower case. */
  readonly headers: Readonly<Record<string, readonly string[] | undefined>>
  readonly body: Buffer
}

/** A media type without its parameters, in lower case. */
export function bareMediaType(contentType: string | undefined): string {
  return (contentType?.split(';', 1)[0] ?? '').trim().toLowerCase()
}

/** The text of a JSON body. Invalid UTF-8 is refused rather than replaced. */
export function readText(body: Buffer, contentType: string | undefined): string {
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType ?? '')?.[1]?.toLowerCase()
  if (charset !== undefined && charset !== 'utf-8' && charset !== 'utf8')
    throw new ProblemError('request.unsupported_media_type', `The charset is ${charset}; only UTF-8 is taken.`)
  if (!isUtf8(body)) throw new ProblemError('request.malformed_json', 'The body is not valid UTF-8.')
  return body.toString('utf8')
}

export function parseJson(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const detail = `The body could not be parsed: ${(error as Error).message}.`
    throw new ProblemError('request.malformed_json', detail, { cause: error })
  }
}
