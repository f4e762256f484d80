import type { Grant, Role } from '@millrace/contracts'

/** Who sent a request, as their key or token proves. */
export interface Principal {
  /** Tells apart two of one name. */
  readonly id: string
  /** As the audit trail has it. */
  readonly name: string
  readonly grants: readonly Grant[]
}

/** Whether somebody has one of these roles in a namespace; `*` asks for all namespaces. An admin has every role. */
export function isAllowed({ grants }: Principal, roles: readonly Role[], namespace: string): boolean {
  return grants.some((grant) => hasRole(grant, roles) && (grant.namespace === '*' || grant.namespace === namespace))
}

/** Whether somebody has one of these roles anywhere. */
export function isAllowedSomewhere({ grants }: Principal, roles: readonly Role[]): boolean {
  return grants.some((grant) => hasRole(grant, roles))
}

function hasRole({ role }: Grant, roles: readonly Role[]): boolean {
  return role === 'admin' || roles.includes(role)
}
