import type { DeadLetter } from '@millrace/contracts'
import type { Command } from 'commander'
import { CommandError, call } from '../http.ts'
import { print, shorten, table } from '../output.ts'
import { type CommonOptions, currentUser, urlOf, withCommonOptions } from './options.ts'

export function addDeadLetters(program: Command): void {
  const deadLetters = program
    .command('dead-letters')
    .description('jobs that will not be tried again, and putting them back')
  addList(deadLetters)
  addRedrive(deadLetters)
}

function addList(parent: Command): void {
  withCommonOptions(parent.command('list <namespace> [queue]'), 'dispatcher')
    .description('dead letters, oldest first')
    .option('--limit <n>', 'how many at most', '100')
    .action(async (namespace: string, queue: string | undefined, options: CommonOptions & { limit: string }) => {
      const query = new URLSearchParams({ namespace, limit: options.limit, ...(queue !== undefined && { queue }) })
      const answer = await call<{ deadLetters: DeadLetter[]; cursor?: string }>(
        urlOf('dispatcher', options),
        `/dead-letters?${query}`,
      )
      print(answer, { json: options.json ?? false, text: describe(answer.deadLetters, answer.cursor) })
    })
}

interface RedriveOptions extends CommonOptions {
  readonly id?: string[]
  readonly all?: boolean
  readonly limit?: string
  readonly why?: string
}

function addRedrive(parent: Command): void {
  withCommonOptions(parent.command('redrive <namespace> <queue>'), 'dispatcher')
    .description('put dead letters back into their queue, with fresh attempts')
    .option('--id <id...>', 'these jobs')
    .option('--all', 'all of the queue')
    .option('--limit <n>', 'how many at most')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace dead-letters redrive my-service sync-record --id job_…\n  $ millrace dead-letters redrive my-service sync-record --all --why "upstream is back"',
    )
    .action(async (namespace: string, queue: string, options: RedriveOptions) => {
      if (!options.id && !options.all) throw new CommandError('Say which: --id <id…>, or --all for the whole queue.')
      const filter = { namespace, queue, ...(options.id && { ids: options.id }) }
      const body = {
        filter,
        who: currentUser(),
        ...(options.limit !== undefined && { limit: Number(options.limit) }),
        ...(options.why !== undefined && { why: options.why }),
      }
      const answer = await call<{ redriven: number; ids: string[] }>(
        urlOf('dispatcher', options),
        '/dead-letters/redrive',
        { method: 'POST', body },
      )
      print(answer, { json: options.json ?? false, text: `${answer.redriven} redriven` })
    })
}

function describe(letters: readonly DeadLetter[], cursor: string | undefined): string {
  if (letters.length === 0) return 'No dead letters.'
  const rows = letters.map((letter) => {
    const { status, error, body } = letter.lastResponse
    const last = status === undefined ? (error ?? '') : `HTTP ${status} ${body ?? ''}`
    return [
      letter.id,
      letter.queue,
      letter.reason,
      String(letter.attempts),
      letter.diedAt,
      shorten(last.replaceAll(/\s+/g, ' '), 60),
    ]
  })
  const more = cursor === undefined ? '' : '\n(there are more; raise --limit)'
  return table(['JOB', 'QUEUE', 'REASON', 'ATTEMPTS', 'DIED AT', 'LAST RESPONSE'], rows) + more
}
