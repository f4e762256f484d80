/** How far a partition's log is recorded: everything up to `position`, `seq` records in all. */
export interface Cursor {
  readonly position: string
  readonly entriesRead: number
  readonly seq: number
}

export const NO_CURSOR: Cursor = { position: '0-0', entriesRead: 0, seq: 0 }
