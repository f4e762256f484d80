import type { DeadLetter, LetterGroup } from '@millrace/contracts'
import type { Command } from 'commander'
import { call } from '../http.ts'
import { print, shorten, table } from '../output.ts'
import { filterOf, type LetterOptions, withFilterOptions } from './letter-options.ts'
import { type CommonOptions, urlOf, withCommonOptions } from './options.ts'
import { addDiscard, addRedrive, addRedrives } from './redrive.ts'

export function addDeadLetters(program: Command): void {
  const deadLetters = program
    .command('dead-letters')
    .description('jobs that will not be tried again, and putting them back')
  addList(deadLetters)
  addShow(deadLetters)
  addGroups(deadLetters)
  addRedrive(deadLetters)
  addDiscard(deadLetters)
  addRedrives(deadLetters)
}

interface Page {
  readonly deadLetters: DeadLetter[]
  readonly lookedAt: number
  readonly cursor?: string
}

function addList(parent: Command): void {
  withFilterOptions(withCommonOptions(parent.command('list <namespace> [queue]'), 'dispatcher'))
    .description('dead letters, oldest first')
    .option('--limit <n>', 'how many at most', '100')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace dead-letters list my-service\n  $ millrace dead-letters list my-service sync-record --status 500 --search "not found"',
    )
    .action(async (namespace: string, queue: string | undefined, options: LetterOptions & { limit: string }) => {
      const answer = await listAll({ namespace, queue }, options)
      print(answer, { json: options.json ?? false, text: describe(answer.deadLetters, answer.cursor) })
    })
}

/** One answer looks at a bounded number of letters, so a rare one may be some answers away. */
async function listAll(
  { namespace, queue }: { namespace: string; queue: string | undefined },
  options: LetterOptions & { limit: string },
): Promise<Page> {
  const deadLetters: DeadLetter[] = []
  let lookedAt = 0
  let cursor: string | undefined
  do {
    const limit = String(Number(options.limit) - deadLetters.length)
    const filter = Object.entries(filterOf(options)).map(([name, value]) => [name, String(value)])
    const query = new URLSearchParams({
      ...{ namespace, limit, ...Object.fromEntries(filter) },
      ...(queue !== undefined && { queue }),
      ...(cursor !== undefined && { cursor }),
    })
    const page = await call<Page>(urlOf('dispatcher', options), `/dead-letters?${query}`)
    deadLetters.push(...page.deadLetters)
    lookedAt += page.lookedAt
    cursor = page.cursor
  } while (cursor !== undefined && deadLetters.length < Number(options.limit))
  return { deadLetters, lookedAt, ...(cursor !== undefined && { cursor }) }
}

function addShow(parent: Command): void {
  withCommonOptions(parent.command('show <id>'), 'dispatcher')
    .description('one dead letter with its last response')
    .addHelpText('after', '\nExample:\n  $ millrace dead-letters show job_0193a1b2c3d00001000')
    .action(async (id: string, options: CommonOptions) => {
      const letter = await call<DeadLetter>(urlOf('dispatcher', options), `/dead-letters/${encodeURIComponent(id)}`)
      print(letter, { json: options.json ?? false, text: describeOne(letter) })
    })
}

function addGroups(parent: Command): void {
  withCommonOptions(parent.command('groups <namespace> [queue]'), 'dispatcher')
    .description('dead letters by the way they failed, the largest group first')
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace dead-letters groups my-service\n  $ millrace dead-letters redrive my-service sync-record --fingerprint 0a1b2c3d4e5f',
    )
    .action(async (namespace: string, queue: string | undefined, options: CommonOptions) => {
      const query = new URLSearchParams({ namespace, ...(queue !== undefined && { queue }) })
      const answer = await call<{ groups: LetterGroup[]; lookedAt: number; complete: boolean }>(
        urlOf('dispatcher', options),
        `/dead-letters/groups?${query}`,
      )
      const rows = answer.groups.map((group) => [
        ...[String(group.count), group.queue, group.fingerprint, group.reason, String(group.status ?? '')],
        ...[group.lastAt, group.exampleId, shorten(group.sample, 60)],
      ])
      const note = answer.complete ? '' : `\n(the oldest ${answer.lookedAt} letters; there are more)`
      const text =
        rows.length === 0
          ? 'No dead letters.'
          : table(['COUNT', 'QUEUE', 'FINGERPRINT', 'REASON', 'STATUS', 'LAST DIED AT', 'EXAMPLE', 'SAID'], rows) + note
      print(answer, { json: options.json ?? false, text })
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

function describeOne(letter: DeadLetter): string {
  const { status, headers = {}, body, error } = letter.lastResponse
  return [
    `${letter.id}  ${letter.namespace}/${letter.queue}`,
    `  died         ${letter.reason} after ${letter.attempts} attempt${letter.attempts === 1 ? '' : 's'}, ${letter.diedAt}`,
    `  enqueued     ${letter.enqueuedAt}`,
    `  fingerprint  ${letter.fingerprint}`,
    `  data         ${shorten(JSON.stringify(letter.data), 200)}`,
    `  answer       ${status === undefined ? (error ?? 'none') : `HTTP ${status}`}`,
    ...Object.entries(headers).map(([name, value]) => `    ${name}: ${value}`),
    ...(body ? ['', ...body.split('\n').map((line) => `    ${line}`)] : []),
  ].join('\n')
}
