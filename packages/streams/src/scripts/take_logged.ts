import type { Partition } from '../partition.ts'
import type { FanOut } from './fan_out.ts'
import { loadScript, runScript } from './load.ts'
import { askedTypes } from './read_log.ts'

/** A subscription that asks for types alone, and reads the log of its own partition on its own. */
export interface TakeLogged extends Pick<FanOut, 'from' | 'revision' | 'maxWaiting'> {
  readonly alone: string
  /** So many events are enough. */
  readonly count: number
  /** Patterns as a subscription has them; none is all that services publish. */
  readonly types: readonly string[]
}

export type Taken =
  | {
      readonly kind: 'routed'
      readonly jobs: number
      readonly left: number
      readonly atEnd: boolean
      /** How far it has got. */
      readonly to: string
    }
  /** What comes next was trimmed, or has to be read before it is put in: a trace, a body to pack. */
  | { readonly kind: 'past' | 'choose' }
  | { readonly kind: 'moved' | 'stale' | 'full' }

const script = loadScript('take_logged', 'allow-oom', ['prelude_log', 'prelude_fan_out'])

/** Put the next events that a subscription asks for into its queue from where they lie. */
export async function takeLogged(partition: Partition, call: TakeLogged): Promise<Taken> {
  const { from, revision, alone, maxWaiting, count, types } = call
  const args = [partition.number, from, '', '', revision, alone, maxWaiting, count, ...askedTypes(types)]
  const [kind, jobs, left, atEnd, to] = (await runScript(partition, script, args)) as [Taken['kind'], ...unknown[]]
  if (kind !== 'routed') return { kind }
  return { kind, jobs: Number(jobs), left: Number(left), atEnd: atEnd === 1, to: String(to) }
}
