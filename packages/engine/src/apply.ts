import { type QueueDefinition, queueAddress, type Service } from '@millrace/contracts'
import type { Declaration } from './manifest.ts'

export interface ApplyInput {
  readonly current?: Service
  readonly declaration: Declaration
  readonly url: string
  readonly who: string
  readonly at: string
}

export type ApplyDecision =
  | { readonly kind: 'unchanged'; readonly service: Service }
  | { readonly kind: 'created' | 'changed'; readonly service: Service }

/** The service that applying a declaration leads to. Applying the same again changes nothing, not even the version. */
export function decideApply({ current, declaration, url, who, at }: ApplyInput): ApplyDecision {
  const { namespace, queues, manifest } = declaration
  const closing = current ? stillToClose(current, queues) : []
  const next: Service = {
    namespace,
    url,
    version: (current?.version ?? 0) + 1,
    appliedAt: at,
    appliedBy: who,
    queues,
    closing,
    manifest,
  }
  if (current && sameContent(current, next)) return { kind: 'unchanged', service: current }
  return { kind: current ? 'changed' : 'created', service: next }
}

/** The service after one of its closing queues was found empty and closed. */
export function withoutClosed(service: Service, address: string): Service {
  return {
    ...service,
    version: service.version + 1,
    closing: service.closing.filter((queue) => addressOf(queue) !== address),
  }
}

/** A queue that is no longer declared drains first: it keeps being delivered, and takes nothing new. */
function stillToClose(current: Service, declared: readonly QueueDefinition[]): QueueDefinition[] {
  const kept = new Set(declared.map(addressOf))
  return [...current.queues, ...current.closing].filter((queue) => !kept.has(addressOf(queue)))
}

function sameContent(a: Service, b: Service): boolean {
  const content = ({ url, queues, closing, manifest }: Service) => JSON.stringify({ url, queues, closing, manifest })
  return content(a) === content(b)
}

function addressOf({ kind, name }: QueueDefinition): string {
  return queueAddress(kind, name)
}
