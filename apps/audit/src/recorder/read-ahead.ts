import type { LogReader } from '@millrace/streams'
import { type Entries, readEntries } from './batch.ts'

interface Wanted {
  readonly after: string
  readonly count: number
}

/** Reads one batch ahead of what is being recorded. */
export function createReadAhead({
  reader,
  blockMs,
  randomBytes,
}: {
  reader: Pick<LogReader, 'read'>
  blockMs: number
  randomBytes(count: number): Buffer
}) {
  let begun: { readonly after: string; readonly read: Promise<Entries> } | undefined

  const read = async ({ after, count }: Wanted): Promise<Entries> =>
    readEntries(await reader.read({ after, count, blockMs }), randomBytes)

  return {
    begin(wanted: Wanted): void {
      begun = { after: wanted.after, read: read(wanted) }
      // Should it fail, who takes it hears of it; nobody may.
      begun.read.catch(() => undefined)
    },
    /** What was read ahead when it begins at this position, else it is read now; empty when none came within `blockMs`. */
    async take(wanted: Wanted): Promise<Entries> {
      const ahead = begun
      begun = undefined
      if (ahead?.after === wanted.after) return ahead.read
      // The reader does one thing at a time, and the connection as well.
      await ahead?.read.catch(() => undefined)
      return read(wanted)
    },
  }
}
