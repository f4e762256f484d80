import { REGISTRY_PARTITION } from '@millrace/contracts'

/** A partition as metrics and logs name it. */
export function partitionLabel(partition: number): string {
  return partition === REGISTRY_PARTITION ? 'reg' : `p${partition}`
}
