import { ProblemError, parseId } from '@millrace/contracts'

/**
 * Cursors are opaque to clients; to us they are the id of the last thing on the page. Ids sort by time and are never
 * given out twice, so a cursor stays good for ever.
 */
export function toCursor(id: string): string {
  return Buffer.from(id).toString('base64url')
}

export function fromCursor(cursor: string | undefined, prefix: 'evt' | 'job'): string | undefined {
  if (cursor === undefined) return undefined
  const id = Buffer.from(cursor, 'base64url').toString()
  if (parseId(id)?.prefix === prefix) return id
  throw new ProblemError('request.invalid', 'The cursor is not one that this list gave out.', {
    errors: [{ pointer: '/cursor', detail: 'is not a cursor of this list' }],
  })
}
