import { comparePositions } from '@millrace/contracts'
import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'
import { askedTypes, type LogRange } from './read_log.ts'

export interface Counted {
  readonly events: number
  /** The first of them; undefined: there is none. */
  readonly first: string | undefined
  /** Everything up to here was looked at. */
  readonly through: string
  /** How many entries that is. */
  readonly entries: number
  readonly atEnd: boolean
}

const script = loadScript('count_logged', 'no-writes', ['prelude_log'])

/** Count the events behind a position that a subscription asks for by their types alone, without their being sent. */
export async function countLogged(
  partition: Partition,
  { after, to, count, types }: Omit<LogRange, 'passOver'> & { readonly types: readonly string[] },
): Promise<Counted> {
  const reply = await runScript(partition, script, [after, to ?? '+', count, ...askedTypes(types)])
  const [last, entries, atEnd, events, first] = reply as [string, number, number, number, string]
  const looked = last === '' ? after : last
  const isBeyond = to !== undefined && (atEnd === 1 || comparePositions(looked, to) > 0)
  return {
    ...{ events, first: first === '' ? undefined : first, entries },
    ...{ through: isBeyond ? to : looked, atEnd: atEnd === 1 || isBeyond },
  }
}
