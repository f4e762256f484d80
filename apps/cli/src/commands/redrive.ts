import { setTimeout as delay } from 'node:timers/promises'
import type { Redrive } from '@millrace/contracts'
import type { Command } from 'commander'
import { CommandError, call } from '../http.ts'
import { print, table } from '../output.ts'
import { filterOf, type LetterOptions, withFilterOptions } from './letter-options.ts'
import { type CommonOptions, currentUser, reasonOf, urlOf, withCommonOptions } from './options.ts'

interface ChangeOptions extends LetterOptions {
  readonly id?: string[]
  readonly all?: boolean
  readonly limit?: string
  readonly why?: string
}

interface RedriveOptions extends ChangeOptions {
  readonly rate?: string
  readonly canary?: string | true
  readonly redriveId?: string
  readonly wait?: boolean
}

type RedriveAnswer = { readonly redriven: number; readonly ids: string[] } | Redrive

const LOOK_MS = 500
const STEPS = { first: 'its first job', ten: 'its ten jobs', rest: 'the rest' } as const

export function addRedrive(parent: Command): void {
  withChangeOptions(withCommonOptions(parent.command('redrive <namespace> <queue>'), 'dispatcher'))
    .description('put dead letters back into their queue, with fresh attempts')
    .option('--rate <perSecond>', 'so many jobs a second at most')
    .option('--canary [share]', 'one job, then ten, then the rest; stops when more than this share dies again (0.5)')
    .option('--redrive-id <id>', 'asked again with the same id, nothing is redriven twice')
    .option('--wait', 'until it is over; exit code 1 when it was stopped')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace dead-letters redrive my-service sync-record --id job_…\n  $ millrace dead-letters redrive my-service sync-record --all --why "upstream is back"\n  $ millrace dead-letters redrive my-service sync-record --status 503 --rate 20 --canary 0.2 --wait',
    )
    .action(async (namespace: string, queue: string, options: RedriveOptions) => {
      const { rate, canary, redriveId } = options
      const body = {
        ...changeOf({ namespace, queue }, options),
        ...(rate !== undefined && { ratePerSecond: Number(rate) }),
        ...(canary !== undefined && { canary: canary === true ? {} : { failureShare: Number(canary) } }),
        ...(redriveId !== undefined && { redriveId }),
      }
      const url = urlOf('dispatcher', options)
      const asked = await call<RedriveAnswer>(url, '/dead-letters/redrive', { method: 'POST', body })
      const answer = options.wait && 'state' in asked ? await untilOver(url, asked) : asked
      const text = 'state' in answer ? describe(answer) : `${answer.redriven} redriven`
      print(answer, { json: options.json ?? false, text })
      if (options.wait && 'state' in answer && answer.state === 'stopped') process.exitCode = 1
    })
}

async function untilOver(url: string, asked: Redrive): Promise<Redrive> {
  let redrive = asked
  while (redrive.state === 'running') {
    await delay(LOOK_MS)
    redrive = await call<Redrive>(url, `/redrives/${encodeURIComponent(asked.id)}`)
  }
  return redrive
}

export function addDiscard(parent: Command): void {
  withChangeOptions(withCommonOptions(parent.command('discard <namespace> <queue>'), 'dispatcher'))
    .description('remove dead letters for good; needs --why')
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace dead-letters discard my-service sync-record --fingerprint 0a1b2c3d4e5f --why "accounts are closed"',
    )
    .action(async (namespace: string, queue: string, options: ChangeOptions) => {
      const body = { ...changeOf({ namespace, queue }, options), why: reasonOf(options) }
      const url = urlOf('dispatcher', options)
      const answer = await call<{ discarded: number }>(url, '/dead-letters/discard', { method: 'POST', body })
      print(answer, { json: options.json ?? false, text: `${answer.discarded} discarded` })
    })
}

export function addRedrives(parent: Command): void {
  withCommonOptions(parent.command('redrives <namespace>'), 'dispatcher')
    .description('redrives with a rate, a canary or an id, the newest first')
    .addHelpText('after', '\nExample:\n  $ millrace dead-letters redrives my-service')
    .action(async (namespace: string, options: CommonOptions) => {
      const query = new URLSearchParams({ namespace })
      const answer = await call<{ redrives: Redrive[] }>(urlOf('dispatcher', options), `/redrives?${query}`)
      const rows = answer.redrives.map(({ id, filter, state, redriven, startedAt, who }) => [
        ...[id, filter.queue, state, String(redriven), startedAt, who],
      ])
      const text = table(['REDRIVE', 'QUEUE', 'STATE', 'REDRIVEN', 'STARTED AT', 'WHO'], rows)
      print(answer, { json: options.json ?? false, text: rows.length === 0 ? 'No redrives.' : text })
    })
  withCommonOptions(parent.command('stop <redrive>'), 'dispatcher')
    .description('stop a redrive; what it has put back stays')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText('after', '\nExample:\n  $ millrace dead-letters stop redrive_… --why "wrong queue"')
    .action(async (id: string, { why, ...options }: CommonOptions & { why?: string }) => {
      const body = { who: currentUser(), ...(why !== undefined && { why }) }
      const path = `/redrives/${encodeURIComponent(id)}/stop`
      const answer = await call<Redrive>(urlOf('dispatcher', options), path, { method: 'POST', body })
      print(answer, { json: options.json ?? false, text: describe(answer) })
    })
}

function withChangeOptions(command: Command): Command {
  return withFilterOptions(command)
    .option('--id <id...>', 'these jobs')
    .option('--all', 'all of the queue')
    .option('--limit <n>', 'how many at most')
    .option('--why <reason>', 'reason, for the audit trail')
}

function changeOf({ namespace, queue }: { namespace: string; queue: string }, options: ChangeOptions) {
  const { id, all, limit, why } = options
  const criteria = filterOf(options)
  if (!id && !all && Object.keys(criteria).length === 0)
    throw new CommandError('Say which: --id <id…>, --all for the whole queue, or a filter such as --status 500.')
  return {
    filter: { namespace, queue, ...(id && { ids: id }), ...criteria },
    who: currentUser(),
    ...(limit !== undefined && { limit: Number(limit) }),
    ...(why !== undefined && { why }),
  }
}

function describe({ id, state, redriven, canary, stopped }: Redrive): string {
  const step = canary ? `, canary at ${STEPS[canary.step]}` : ''
  const why = stopped ? ` by ${stopped.who}${stopped.why ? `: ${stopped.why}` : ''}` : ''
  return `${id} ${state}${why}, ${redriven} redriven${state === 'finished' ? '' : step}`
}
