/**
 * The database cannot do it: locked, full, not reachable, damaged. Both kinds of database throw this and nothing else, with
 * their own error as `cause`.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  /** A row with the same key is there already. */
  readonly isDouble: boolean

  constructor(message: string, options: { cause: unknown; isDouble: boolean }) {
    super(message, { cause: options.cause })
    this.isDouble = options.isDouble
  }
}
