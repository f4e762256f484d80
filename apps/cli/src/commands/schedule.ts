import type { Backfill, LedgerEntry, ScheduleView } from '@millrace/contracts'
import type { Command } from 'commander'
import { call, callAll } from '../http.ts'
import { print, table } from '../output.ts'
import { type CommonOptions, currentUser, urlOf, withCommonOptions } from './options.ts'
import { addPreview } from './schedule-preview.ts'
import { trigger } from './trigger.ts'

interface Options extends CommonOptions {
  readonly why?: string
}

/** `millrace schedule list|ledger|preview|pause|resume|run|backfill`. */
export function addSchedule(program: Command): void {
  const schedule = program.command('schedule').description('look at schedules, and act on one')
  addList(schedule)
  addLedger(schedule)
  addPreview(schedule)
  addPause(schedule, 'pause', 'skip nominal times until it is resumed')
  addPause(schedule, 'resume', 'fire again')
  addRun(schedule)
  addBackfill(schedule)
}

function addList(parent: Command): void {
  withCommonOptions(parent.command('list [namespace]'), 'scheduler')
    .description('schedules with their next nominal time')
    .addHelpText('after', '\nExample:\n  $ millrace schedule list my-service')
    .action(async (namespace: string | undefined, options: Options) => {
      const query = new URLSearchParams({ ...(namespace && { namespace }) })
      const schedules = await callAll<ScheduleView>(urlOf('scheduler', options), `/schedules?${query}`, 'schedules')
      const rows = schedules.map((each) => [
        `${each.namespace}/${each.name}`,
        each.reading,
        each.nextAt ?? 'never',
        each.lastSuccessAt ?? '–',
        each.paused ? `by ${each.paused.who}${each.paused.why ? `: ${each.paused.why}` : ''}` : '–',
      ])
      const text = table(['SCHEDULE', 'FIRES', 'NEXT', 'LAST SUCCESS', 'PAUSED'], rows)
      print({ schedules }, { json: options.json ?? false, text })
    })
}

interface LedgerOptions extends Options {
  readonly state?: string
  readonly reason?: string
  readonly limit?: string
}

function addLedger(parent: Command): void {
  withCommonOptions(parent.command('ledger <namespace> <schedule>'), 'scheduler')
    .description('what became of each nominal time, the latest first')
    .option('--state <state>', 'fired, late, skipped or missed')
    .option('--reason <reason>', 'why one did not fire: overlap, window, paused, gap, take or changed')
    .option('--limit <n>', 'at most this many', '20')
    .addHelpText('after', '\nExample:\n  $ millrace schedule ledger my-service nightly-sync --state skipped')
    .action(async (namespace: string, name: string, options: LedgerOptions) => {
      const query = new URLSearchParams()
      for (const field of ['state', 'reason', 'limit'] as const)
        if (options[field] !== undefined) query.set(field, options[field])
      const path = `${pathOf(namespace, name, 'ledger')}?${query}`
      const answer = await call<{ entries: LedgerEntry[]; cursor?: string }>(urlOf('scheduler', options), path)
      const rows = answer.entries.map((entry) => [
        entry.until === undefined ? entry.at : `${entry.at} – ${entry.until}`,
        entry.reason === undefined ? entry.state : `${entry.state} (${entry.reason})`,
        entry.count === undefined ? '1' : String(entry.count),
        entry.lateMs === undefined ? '–' : `${entry.lateMs} ms`,
        entry.jobId ?? '–',
        entry.outcome ?? '–',
      ])
      const text = table(['AT', 'STATE', 'TIMES', 'LATE', 'JOB', 'OUTCOME'], rows)
      print(answer, { json: options.json ?? false, text })
    })
}

function addPause(parent: Command, action: 'pause' | 'resume', description: string): void {
  withCommonOptions(parent.command(`${action} <namespace> <schedule>`), 'scheduler')
    .description(description)
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText(
      'after',
      `\nExample:\n  $ millrace schedule ${action} my-service nightly-sync --why "upstream is down"`,
    )
    .action(async (namespace: string, name: string, options: Options) => {
      const body = { who: currentUser(), ...(options.why !== undefined && { why: options.why }) }
      const answer = await post<{ result: string }>(options, pathOf(namespace, name, action), body)
      print(answer, { json: options.json ?? false, text: `${namespace}/${name} ${answer.result}` })
    })
}

function addRun(parent: Command): void {
  withCommonOptions(parent.command('run <namespace> <schedule>'), 'scheduler')
    .description('run a schedule now, besides its plan')
    .option('--why <reason>', 'reason, for the audit trail')
    .option('--key <key>', 'idempotency key: the same key within 24 hours is the same run')
    .addHelpText('after', '\nExample:\n  $ millrace schedule run my-service nightly-sync --why "records came in late"')
    .action(trigger)
}

interface BackfillOptions extends Options {
  readonly from: string
  readonly to: string
  readonly rate?: string
  readonly again?: boolean
  readonly id?: string
}

function addBackfill(parent: Command): void {
  withCommonOptions(parent.command('backfill <namespace> <schedule>'), 'scheduler')
    .description('fire the nominal times of a range that have not fired')
    .requiredOption('--from <time>', 'nominal times from this one on, 2026-11-20T00:00:00Z')
    .requiredOption('--to <time>', 'up to this one, which has passed')
    .option('--rate <n>', 'so many a second', '1')
    .option('--again', 'also those that have fired')
    .option('--id <id>', 'a name for it: asked again with the same, it says how far it is')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace schedule backfill my-service nightly-sync --from 2026-11-20T00:00:00Z --to 2026-11-22T00:00:00Z --why "outage"',
    )
    .action(async (namespace: string, name: string, options: BackfillOptions) => {
      const answer = await post<Backfill>(options, pathOf(namespace, name, 'backfills'), {
        from: options.from,
        to: options.to,
        ratePerSecond: Number(options.rate),
        ...(options.again && { again: true }),
        ...(options.id !== undefined && { backfillId: options.id }),
        who: currentUser(),
        ...(options.why !== undefined && { why: options.why }),
      })
      const text = `${answer.id} ${answer.state}: ${answer.fired} fired, ${answer.passed} had fired before`
      print(answer, { json: options.json ?? false, text })
    })
}

function post<T>(options: Options, path: string, body: unknown): Promise<T> {
  return call<T>(urlOf('scheduler', options), path, { method: 'POST', body })
}

function pathOf(namespace: string, name: string, action: string): string {
  return `/schedules/${encodeURIComponent(namespace)}/${encodeURIComponent(name)}/${action}`
}
