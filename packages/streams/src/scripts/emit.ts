import type { EventKind } from '@millrace/contracts'
import type { Partition } from '../partition.ts'
import { IDEMPOTENCY_WINDOW_MS } from './enqueue.ts'
import { loadScript, runScript } from './load.ts'

export interface Fact {
  readonly kind: EventKind
  readonly type: string
  readonly namespace: string
  /** The queue that it concerns, if one does. */
  readonly queue?: string
  readonly entityId: string
  readonly idempotencyKey?: string
  /** JSON text, kept byte for byte. */
  readonly data: string
}

export interface Emitted {
  readonly kind: 'appended' | 'replayed'
  readonly position: string
}

const script = loadScript('emit')

/** Append facts to the log of one partition, each once per idempotency key. */
export async function emit(partition: Partition, facts: readonly Fact[]): Promise<Emitted[]> {
  const args: (string | number)[] = [IDEMPOTENCY_WINDOW_MS]
  for (const { kind, type, namespace, queue, entityId, idempotencyKey, data } of facts) {
    args.push(kind, type, namespace, queue ?? '', entityId, idempotencyKey ?? '', data)
  }
  const confirm = partition.beginWrite?.()
  const reply = (await runScript(partition, script, args)) as [Emitted['kind'], string][]
  await confirm?.()
  return reply.map(([kind, position]) => ({ kind, position }))
}
