import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import { CommandError } from '../http.ts'

export interface CommonOptions {
  readonly url?: string
  readonly json?: boolean
}

type App = 'dispatcher' | 'scheduler' | 'audit'

/** The options that every command has which calls an app. */
export function withCommonOptions(command: Command, app: App): Command {
  return command.option('--url <url>', `address of the ${app}`).option('--json', 'print the answer as JSON')
}

/** Where to call: --url, else the app on this machine by its port variable. */
export function urlOf(app: App, { url }: CommonOptions): string {
  return url ?? readConfig().urls[app]
}

/** Who does it, for the audit trail: the person at the keyboard. */
export function currentUser(): string {
  return readConfig().user
}

/** The reason that a destructive command must have: the audit trail keeps it. */
export function reasonOf({ why }: { readonly why?: string }): string {
  if (why === undefined) throw new CommandError('Say why: --why "…". The audit trail keeps it.')
  return why
}
