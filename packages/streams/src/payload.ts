import { constants, zstdCompressSync, zstdDecompressSync } from 'node:zlib'

/**
 * How a payload lies in Redis: as the JSON text that it is, or, from 4 KiB on and where that is shorter, as
 * `~zstd:<bytes of the text>:<base64>`. No JSON text begins with `~`, so what lies there says by itself what it is, and
 * the scripts never look into it. Everything that writes or reads a payload goes through here; why this size, codec and
 * text form: docs/performance.md, decision 0028.
 */
const MARK = '~zstd:'
/** Below it saves less than 2 KiB for what is half of the time that a delivery takes. */
const PACKED_FROM_CHARACTERS = 4096
/** The largest payload that a dispatcher can be told to accept. What says that it is larger was not packed by us. */
const MAX_BYTES = 16_777_216
const PACKED = /^~zstd:(\d{1,8}):([A-Za-z0-9+/]*={0,2})$/
/** Level 1: level 3 saves one part in a hundred more and takes half as long again. */
const OPTIONS = { params: { [constants.ZSTD_c_compressionLevel]: 1 } }

/** A payload as it is stored. `text` is JSON text. */
export function packPayload(text: string): string {
  if (text.length < PACKED_FROM_CHARACTERS) return text
  const bytes = Buffer.from(text)
  const packed = `${MARK}${bytes.length}:${zstdCompressSync(bytes, OPTIONS).toString('base64')}`
  return packed.length < bytes.length ? packed : text
}

/**
 * The JSON text of a stored payload, byte for byte as it was packed. Never longer than it says, so a few bytes cannot
 * unfold into all of the memory.
 *
 * What cannot be unpacked was changed in Redis by somebody else. It comes back as a JSON string of what is stored: one
 * damaged entry must not stop the claims of its queue, and its endpoint or whoever reads the dead letter sees what it is.
 */
export function unpackPayload(stored: string): string {
  if (!stored.startsWith('~')) return stored
  const [, size, base64] = PACKED.exec(stored) ?? []
  const bytes = Number(size)
  if (base64 === undefined || !(bytes <= MAX_BYTES)) return JSON.stringify(stored)
  try {
    const text = zstdDecompressSync(Buffer.from(base64, 'base64'), { maxOutputLength: Math.max(1, bytes) })
    return text.length === bytes ? text.toString() : JSON.stringify(stored)
  } catch {
    return JSON.stringify(stored)
  }
}

const MEMBER = ',"data":'

/**
 * The data of a `job.enqueued` or `job.updated` with the payload unpacked. The scripts put the payload last, and inside of
 * a JSON string the quotes of the member would be escaped: so the mark is found where it is, and nowhere else.
 */
export function unpackEventData(data: string): string {
  const at = data.indexOf(`${MEMBER}~`)
  if (at < 0) return data
  const start = at + MEMBER.length
  return `${data.slice(0, start)}${unpackPayload(data.slice(start, -1))}}`
}
