import type { Partition } from '../partition.ts'
import type { JobMeta } from './enqueue.ts'
import { loadScript, runScript } from './load.ts'

export interface Tick {
  readonly address: string
  /** The planned time that is compared; undefined runs the schedule now, by hand, and moves nothing. */
  readonly nominalMs?: number
  readonly nextMs?: number
  /** The job's payload as JSON text; undefined records what was missed and fires nothing. */
  readonly data?: string
  /** Members of the `schedule.fired` event. */
  readonly event?: Record<string, unknown>
  readonly missed?: Record<string, unknown>
  readonly meta?: JobMeta
}

export type Ticked = { readonly kind: 'fired'; readonly id: string } | { readonly kind: 'passed' | 'stale' }

const script = loadScript('tick')

/** Fire one nominal time exactly once, over any number of schedulers. */
export async function tick(partition: Partition, tick: Tick): Promise<Ticked> {
  const { address, nominalMs, nextMs, data, event, missed, meta } = tick
  const args = [
    address,
    nominalMs ?? '',
    nextMs ?? '',
    data ?? '',
    JSON.stringify(event ?? {}),
    missed ? JSON.stringify(missed) : '',
    meta ? JSON.stringify(meta) : '',
  ]
  const [kind, id] = (await runScript(partition, script, args)) as [Ticked['kind'], string]
  return kind === 'fired' ? { kind, id } : { kind }
}
