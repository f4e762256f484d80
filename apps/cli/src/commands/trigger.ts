import type { Command } from 'commander'
import { call } from '../http.ts'
import { print } from '../output.ts'
import { type CommonOptions, currentUser, urlOf, withCommonOptions } from './options.ts'

export function addTrigger(program: Command): void {
  withCommonOptions(program.command('trigger <namespace> <schedule>'), 'scheduler')
    .description('run a schedule now, besides its plan')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText('after', '\nExample:\n  $ millrace trigger my-service nightly-sync --why "records came in late"')
    .action(async (namespace: string, schedule: string, options: CommonOptions & { why?: string }) => {
      const path = `/schedules/${encodeURIComponent(namespace)}/${encodeURIComponent(schedule)}/trigger`
      const body = { who: currentUser(), ...(options.why !== undefined && { why: options.why }) }
      const answer = await call<{ id: string; tickId: string }>(urlOf('scheduler', options), path, {
        method: 'POST',
        body,
      })
      print(answer, { json: options.json ?? false, text: `fired as ${answer.id}` })
    })
}
