import { setImmediate as turnOfOthers } from 'node:timers/promises'
import type { LogReader } from '@millrace/streams'
import { type Entries, readEntries } from './batch.ts'

interface Wanted {
  readonly after: string
  readonly count: number
}

/** Taken apart at a time, 2 to 4 ms: the database, which asks for its next statement meanwhile, is not kept waiting for long. */
const EVENTS_AT_A_TIME = 500

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

  const read = async ({ after, count }: Wanted): Promise<Entries> => {
    const events = await reader.read({ after, count, blockMs })
    const parts: Entries[] = []
    for (let from = 0; from < events.length; from += EVENTS_AT_A_TIME) {
      if (from > 0) await turnOfOthers()
      parts.push(readEntries(events.slice(from, from + EVENTS_AT_A_TIME), randomBytes))
    }
    return { entries: parts.flatMap(({ entries }) => entries), salts: parts.flatMap(({ salts }) => salts) }
  }

  return {
    /** Once for each position. */
    begin(wanted: Wanted): void {
      if (begun?.after === wanted.after) return
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
