import type { Partition } from '../partition.ts'
import { loadScript, runScript } from './load.ts'

/** What is said of an open circuit. */
export interface BreakerNote {
  readonly scope: 'origin' | 'endpoint'
  readonly origin: string
  readonly path: string
  readonly consumer: string
  readonly since?: string
}

const script = loadScript('note_breaker', 'allow-oom')

/** Put a circuit's transition into the log, and the open ones where `readOpenCircuits` finds them. */
export async function noteBreaker(
  partition: Partition,
  { kind, address, note }: { kind: 'opened' | 'closed'; address: string; note: BreakerNote },
): Promise<void> {
  await runScript(partition, script, [kind, address, JSON.stringify(note)])
}
