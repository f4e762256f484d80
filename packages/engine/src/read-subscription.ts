import {
  type FieldError,
  fieldErrors,
  manifestSubscriptionSchema,
  type QueueDefinition,
  toPointer,
} from '@millrace/contracts'
import { faultsOfItem } from './item-faults.ts'
import { subscriptionQueue } from './subscription.ts'

export type ReadSubscription =
  | { readonly kind: 'read'; readonly queue: QueueDefinition }
  | { readonly kind: 'refused'; readonly mistakes: readonly FieldError[] }

/** A subscription from elsewhere than a manifest, by the same rules: `fields` and pointers are those of `spec.subscriptions[]`. */
export function readSubscription(fields: Readonly<Record<string, unknown>>): ReadSubscription {
  const parsed = manifestSubscriptionSchema.safeParse(fields)
  const mistakes = [
    ...(parsed.success ? [] : fieldErrors(parsed.error)),
    ...faultsOfItem(fields, { list: 'subscriptions', routes: [] }).map(({ path, detail }) => ({
      pointer: toPointer(path),
      detail,
    })),
  ]
  if (!parsed.success || mistakes.length > 0) return { kind: 'refused', mistakes }
  return { kind: 'read', queue: subscriptionQueue(parsed.data) }
}
