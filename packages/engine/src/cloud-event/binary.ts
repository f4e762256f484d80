import { isUtf8 } from 'node:buffer'
import { type FieldError, ProblemError } from '@millrace/contracts'
import { bareMediaType, type EventRequest, parseJson, readText } from './event-body.ts'

const PREFIX = 'ce-'
/** What a header may not carry: the data is the body, and its type is `content-type`. */
const NOT_HEADERS = new Set(['data', 'data_base64', 'datacontenttype'])

/** An event in binary mode, as the JSON that structured mode would have sent. */
export function decodeBinary({ contentType, headers, body }: EventRequest): string {
  // Without what every object has: a header may be called `ce-__proto__`.
  const attributes: Record<string, string> = Object.create(null)
  const mistakes: FieldError[] = []
  for (const [header, values = []] of Object.entries(headers)) {
    if (!header.startsWith(PREFIX)) continue
    const name = header.slice(PREFIX.length)
    const value = NOT_HEADERS.has(name)
      ? { fault: 'is no header: the body has the data, content-type its type' }
      : read(values)
    if ('fault' in value) mistakes.push({ pointer: `/${header}`, detail: value.fault })
    else attributes[name] = value.text
  }
  if (mistakes.length > 0) {
    const [first] = mistakes
    throw new ProblemError('request.invalid', `The header ${first?.pointer.slice(1)} ${first?.detail}.`, {
      errors: mistakes,
    })
  }
  if (body.length === 0) return JSON.stringify(attributes)
  const datacontenttype = contentType ?? 'application/json'
  const envelope = JSON.stringify({ ...attributes, datacontenttype })
  return `${envelope.slice(0, -1)},${dataMember(body, datacontenttype)}}`
}

function dataMember(body: Buffer, contentType: string): string {
  const mediaType = bareMediaType(contentType)
  if (/^[^/]+\/(?:.+\+)?json$/.test(mediaType)) {
    const text = readText(body, contentType)
    parseJson(text)
    return `"data":${text}`
  }
  const isText = mediaType.startsWith('text/') || /[/+]xml$/.test(mediaType)
  const charset = /;\s*charset\s*=\s*"?([^";\s]+)/i.exec(contentType)?.[1]?.toLowerCase() ?? 'utf-8'
  if (isText && charset === 'utf-8' && isUtf8(body)) return `"data":${JSON.stringify(body.toString('utf8'))}`
  return `"data_base64":"${body.toString('base64')}"`
}

type HeaderValue = { readonly text: string } | { readonly fault: string }

function read(values: readonly string[]): HeaderValue {
  const [value = ''] = values
  if (values.length !== 1) return { fault: 'must stand there once' }
  return decodeHeader(value)
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/**
 * The value of a `ce-` header (HTTP binding, 3.1.3.2): a quoted string loses its quotes, percent escapes become the bytes
 * that they stand for, and the whole must be UTF-8: neither overlong forms nor half surrogates are.
 */
export function decodeHeader(value: string): HeaderValue {
  if (/[^\x20-\x7e]/.test(value)) return { fault: 'must hold ASCII only: encode the rest as %XX of its UTF-8' }
  const bare = unquote(value)
  if (bare === undefined) return { fault: 'has a quote that is not closed' }
  if (!bare.includes('%')) return { text: bare }
  if (/%(?![0-9A-Fa-f]{2})/.test(bare)) return { fault: 'has a % that is not followed by two hex digits' }
  const bytes = bare.replaceAll(/%([0-9A-Fa-f]{2})/g, (_escape, hex: string) => String.fromCharCode(parseInt(hex, 16)))
  try {
    return { text: strictUtf8.decode(Buffer.from(bytes, 'latin1')) }
  } catch {
    return { fault: 'is not valid UTF-8 behind its percent escapes' }
  }
}

function unquote(value: string): string | undefined {
  if (!value.startsWith('"')) return value
  const quoted = /^"((?:[^"\\]|\\.)*)"$/.exec(value)
  return quoted?.[1]?.replaceAll(/\\(.)/g, '$1')
}
