import type { OnReadOpts, Socket } from 'node:net'

/** Gets what a socket reads. The piece is only there until this returns: the next one comes into the same memory. */
export type TakePiece = (piece: Buffer) => void

const takers = new WeakMap<Socket, TakePiece>()
/** Of bytes that are there to be read, so many are taken at once. */
const ROOM_BYTES = 64 * 1024
/** What one TLS record can hold (RFC 8446, section 5.1). */
const RECORD_BYTES = 16 * 1024
const shared = Buffer.allocUnsafeSlow(ROOM_BYTES)

function callback(this: Socket, bytes: number, buffer: Uint8Array): boolean {
  takers.get(this)?.((buffer as Buffer).subarray(0, bytes))
  return true
}

/**
 * How sockets to an origin read: all into one buffer, past Node's streams, which make an object and some memory for each piece (what
 * that spares: docs/performance.md). A piece is understood before the next read
 * begins. What TLS has decrypted may come at other moments, so there each piece has memory of its own.
 */
export function readingOf(origin: string): OnReadOpts {
  return { buffer: origin.startsWith('https:') ? () => Buffer.allocUnsafeSlow(RECORD_BYTES) : shared, callback }
}

/** Take what the socket reads, of which nothing has come yet. It was opened with `readingOf`. */
export function takePieces(socket: Socket, take: TakePiece): void {
  takers.set(socket, take)
}
