import { CommandError } from '../http.ts'

/** The address of a subscription by the id that somebody typed. */
export function subscriptionPath(id: string): string {
  if (/^[^.]+\../.test(id)) return `/subscriptions/${encodeURIComponent(id)}`
  throw new CommandError(
    `"${id}" is no id of a subscription: expected <namespace>.<name>, as "millrace subscriptions list" shows it.`,
  )
}
