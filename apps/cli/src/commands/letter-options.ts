import type { Command } from 'commander'
import type { CommonOptions } from './options.ts'

export interface LetterOptions extends CommonOptions {
  readonly reason?: string
  readonly status?: string
  readonly fingerprint?: string
  readonly since?: string
  readonly until?: string
  readonly search?: string
}

/** The options that say which dead letters are meant. */
export function withFilterOptions(command: Command): Command {
  return command
    .option('--reason <reason>', 'died for this reason, such as timeout')
    .option('--status <status>', 'the last answer had this status')
    .option('--fingerprint <fingerprint>', 'of this group, as `dead-letters groups` shows them')
    .option('--since <time>', 'died then or later, such as 2026-11-22T08:00:00Z')
    .option('--until <time>', 'died before')
    .option('--search <text>', 'stands in the payload or in the last response body')
}

/** What of a filter was given, as the API takes it. */
export function filterOf({
  reason,
  status,
  fingerprint,
  since,
  until,
  search,
}: LetterOptions): Record<string, unknown> {
  const given = { reason, status: status === undefined ? undefined : Number(status), fingerprint, since, until, search }
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined))
}
