import type { Command } from 'commander'
import { call } from '../http.ts'
import { print } from '../output.ts'
import { type CommonOptions, currentUser, urlOf, withCommonOptions } from './options.ts'

interface Options extends CommonOptions {
  readonly why?: string
  readonly key?: string
}

export function addTrigger(program: Command): void {
  withCommonOptions(program.command('trigger <namespace> <schedule>'), 'scheduler')
    .description('run a schedule now, besides its plan; the same as schedule run')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText('after', '\nExample:\n  $ millrace trigger my-service nightly-sync --why "records came in late"')
    .action(trigger)
}

/** Run a schedule now. */
export async function trigger(namespace: string, schedule: string, options: Options): Promise<void> {
  const path = `/schedules/${encodeURIComponent(namespace)}/${encodeURIComponent(schedule)}/trigger`
  const body = {
    who: currentUser(),
    ...(options.why !== undefined && { why: options.why }),
    ...(options.key !== undefined && { idempotencyKey: options.key }),
  }
  const answer = await call<{ id: string; tickId: string }>(urlOf('scheduler', options), path, { method: 'POST', body })
  print(answer, { json: options.json ?? false, text: `fired as ${answer.id}` })
}
