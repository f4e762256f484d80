import { ProblemError, type QueueDefinition, type Service } from '@millrace/contracts'
import { type Positions, readSubscription, withSubscription } from '@millrace/engine'
import { changeService, logEnds, type Partition, type Partitions } from '@millrace/streams'
import { MillraceError } from '../errors.ts'
import type { SubscriptionFields } from './subscription-fields.ts'

export type { SubscriptionFields } from './subscription-fields.ts'

export interface DeclaredSubscription {
  readonly namespace: string
  readonly name: string
  readonly fields: SubscriptionFields
}

/**
 * Keep a subscription in the registry, beside what the service's manifest declares. Doing it again changes nothing; other
 * fields change it, and it goes on from where it is. A death on the way leaves it as it was, or done.
 *
 * @throws MillraceError `sdk.invalid_input` with every mistake in the fields; `subscription.declared` when the manifest has one of this
 * name; `sdk.queue_not_pulled` when there is no such service (yet).
 */
export async function declareSubscription(
  { partitions, registry }: { readonly partitions: Partitions; readonly registry: Partition },
  { namespace, name, fields }: DeclaredSubscription,
): Promise<void> {
  const read = readSubscription({ ...fields, name, delivery: 'pull' })
  if (read.kind === 'refused') {
    const mistakes = read.mistakes.map(({ pointer, detail }) => `${pointer} ${detail}`).join('; ')
    throw new MillraceError(`The subscription ${name} was refused: ${mistakes}`, { code: 'sdk.invalid_input' })
  }
  // Read before the subscription is there: what is published from then on is for it.
  const ends = await logEnds([...partitions.all, registry])
  // The service asks for it, and the audit trail says so.
  const by = { who: namespace, at: new Date().toISOString() }
  await changeService(registry, namespace, (current) => {
    if (!current) throw new MillraceError(noService(namespace), { code: 'sdk.queue_not_pulled' })
    if (current.queues.some(({ kind, name: declared }) => kind === 'subscription' && declared === name)) {
      const message = `The manifest of ${namespace} declares a subscription ${name}: leave the filter undefined here, or take it out there`
      throw new MillraceError(message, { code: 'subscription.declared' })
    }
    const service = kept(current, read.queue, { ends, ...by })
    if (service === current) return { service }
    const { version, url } = service
    return { service, event: { version, url, who: by.who, change: `subscribe subscription ${name}` } }
  })
}

function kept(current: Service, queue: QueueDefinition, change: { ends: Positions; who: string; at: string }): Service {
  try {
    return withSubscription(current, queue, change)
  } catch (error) {
    // Where it is to begin there is no event.
    if (!(error instanceof ProblemError)) throw error
    const message = `The subscription ${queue.name} was refused: ${error.message}`
    throw new MillraceError(message, { code: 'sdk.invalid_input', cause: error })
  }
}

export function noService(namespace: string): string {
  return `No service ${namespace} has been applied: apply its manifest, or correct the namespace option`
}
