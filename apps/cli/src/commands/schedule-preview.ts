import type { Command } from 'commander'
import { call } from '../http.ts'
import { print, table } from '../output.ts'
import { type CommonOptions, urlOf, withCommonOptions } from './options.ts'

interface Options extends CommonOptions {
  readonly timezone: string
  readonly dst?: string
  readonly from?: string
  readonly count: string
}

interface Time {
  readonly at: string
  readonly local: string
  readonly offset: string
  readonly note?: string
}

/** `millrace schedule preview "0 2 * * *"`: the next times of a rule, before anybody declares it. */
export function addPreview(parent: Command): void {
  withCommonOptions(parent.command('preview <cron>'), 'scheduler')
    .description('the next times of a rule, and what clock changes do to them')
    .option('--timezone <zone>', 'IANA name', 'UTC')
    .option('--dst <preset>', 'vixie, cronos, go, aws or shift')
    .option('--from <time>', 'times after this, 2026-03-07T00:00:00Z; now without it')
    .option('--count <n>', 'how many', '5')
    .addHelpText('after', '\nExample:\n  $ millrace schedule preview "30 2 * * *" --timezone America/Denver')
    .action(async (cron: string, options: Options) => {
      const { timezone, dst, from, count } = options
      const body = { cron, timezone, ...(dst && { dst }), ...(from && { from }), count: Number(count) }
      const answer = await call<{ times: Time[]; description: string }>(
        urlOf('scheduler', options),
        '/schedules/preview',
        { method: 'POST', body },
      )
      const rows = answer.times.map(({ at, local, offset, note = '' }) => [at, `${local} ${offset}`, note])
      const times = rows.length === 0 ? 'it never fires' : table(['AT', 'LOCAL', 'NOTE'], rows)
      print(answer, { json: options.json ?? false, text: `${answer.description}\n${times}` })
    })
}
