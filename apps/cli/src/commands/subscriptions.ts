import type { SubscriptionView } from '@millrace/contracts'
import type { Command } from 'commander'
import { call, callAll } from '../http.ts'
import { print, shorten, table } from '../output.ts'
import { parseJson } from './json-argument.ts'
import { type CommonOptions, currentUser, reasonOf, urlOf, withCommonOptions } from './options.ts'
import { addReplay, addReplays } from './replays.ts'
import { subscriptionPath } from './subscription-path.ts'

/** `millrace subscriptions list|show|try|move|replay|replays|stop|end`. */
export function addSubscriptions(program: Command): void {
  const subscriptions = program
    .command('subscriptions')
    .description('look at subscriptions, try filters, replay events')
  addList(subscriptions)
  addShow(subscriptions)
  addTry(subscriptions)
  addMove(subscriptions)
  addReplay(subscriptions)
  addReplays(subscriptions)
  addEnd(subscriptions)
}

interface Counts {
  readonly namespace: string
  readonly queue: string
  readonly waiting: number
  readonly scheduled: number
  readonly running: number
  readonly succeeded: number
  readonly dead: number
}

async function readCounts(options: CommonOptions, namespace?: string): Promise<Map<string, Counts>> {
  const query = new URLSearchParams({ ...(namespace && { namespace }) })
  const queues = await callAll<Counts>(urlOf('dispatcher', options), `/queues?${query}`, 'queues')
  const mine = queues.filter(({ queue }) => queue.startsWith('subscription:'))
  return new Map(mine.map((counts) => [`${counts.namespace}.${counts.queue.slice('subscription:'.length)}`, counts]))
}

function addList(parent: Command): void {
  withCommonOptions(parent.command('list [namespace]'), 'dispatcher')
    .description('subscriptions with what waits for each')
    .addHelpText('after', '\nExample:\n  $ millrace subscriptions list my-service')
    .action(async (namespace: string | undefined, options: CommonOptions) => {
      const query = new URLSearchParams({ ...(namespace && { namespace }) })
      const views = await callAll<SubscriptionView>(urlOf('dispatcher', options), `/subscriptions?${query}`)
      const counts = await readCounts(options, namespace)
      const rows = views.map((view) => {
        const { waiting = 0, scheduled = 0, running = 0, dead = 0 } = counts.get(view.id) ?? {}
        const types = view.types?.join(', ') ?? '*'
        return [view.id, shorten(types, 40), placeOf(view), ...[waiting + scheduled, running, dead].map(String)]
      })
      const text = table(['SUBSCRIPTION', 'TYPES', 'DELIVERED TO', 'WAITING', 'RUNNING', 'DEAD'], rows)
      const none =
        'No subscriptions. Declare one under spec.subscriptions of a manifest, or call subscribe() of the SDK.'
      print(views, { json: options.json ?? false, text: rows.length === 0 ? none : text })
    })
}

function addShow(parent: Command): void {
  withCommonOptions(parent.command('show <id>'), 'dispatcher')
    .description('one subscription: what it asks for, how it is delivered, how far it is')
    .addHelpText('after', '\nExample:\n  $ millrace subscriptions show my-service.paid-orders')
    .action(async (id: string, options: CommonOptions) => {
      const view = await call<SubscriptionView>(urlOf('dispatcher', options), subscriptionPath(id))
      const counts = (await readCounts(options, String(view.config.namespace))).get(id)
      print({ ...view, ...(counts && { counts }) }, { json: options.json ?? false, text: describe(view, counts) })
    })
}

function describe(view: SubscriptionView, counts: Counts | undefined): string {
  const { retries, concurrency, keyConcurrency, startFrom, madeBy } = view.config
  const asks = [
    ...(view.source === undefined ? [] : [`source ${view.source}`]),
    ...(view.filters ?? []).map((filter) => JSON.stringify(filter)),
  ]
  return [
    `${view.id}  made by ${madeBy === 'manifest' ? 'the manifest' : 'the API or subscribe()'}`,
    `  types     ${view.types?.join(', ') ?? '* (all that services publish)'}`,
    ...asks.map((ask) => `  and       ${ask}`),
    `  to        ${placeOf(view)}`,
    `  began     ${startFrom}`,
    `  delivery  ${concurrency} at once, ${retries} retries${keyConcurrency === 1 ? ', in order per key' : ''}`,
    ...(counts
      ? [
          `  jobs      ${counts.waiting} waiting, ${counts.scheduled} scheduled, ${counts.running} running, ${counts.succeeded} succeeded, ${counts.dead} dead`,
        ]
      : []),
    ...(counts && counts.dead > 0
      ? [`  next      millrace dead-letters list ${counts.namespace} ${counts.queue}`]
      : []),
  ].join('\n')
}

function placeOf({ sink }: SubscriptionView): string {
  return sink ?? 'pull (the service takes its events itself)'
}

interface TryOptions extends CommonOptions {
  readonly types?: string
  readonly source?: string
  readonly sql?: string
  readonly filter?: string[]
  readonly namespace?: string
  readonly last: string
}

interface Tried {
  readonly looked: number
  readonly matched: number
  readonly events: readonly {
    readonly id: string
    readonly type: string
    readonly source: string
    readonly subject?: string
    readonly matches: boolean
  }[]
}

function addTry(parent: Command): void {
  withCommonOptions(parent.command('try'), 'dispatcher')
    .description('which of the last events a filter would match, before anybody declares it')
    .option('--types <types>', 'with commas between: order.*,invoice.sent; none is all that services publish')
    .option('--source <source>', 'exactly')
    .option('--sql <expression>', 'CloudEvents SQL')
    .option('--filter <json...>', 'a filter of any dialect; of several all must match')
    .option('--namespace <namespace>', 'who would subscribe: only its own platform events are looked at')
    .option('--last <n>', 'how many events to look at', '20')
    .addHelpText(
      'after',
      `\nExamples:\n  $ millrace subscriptions try --types 'order.*' --sql "subject LIKE 'order/%'"\n  $ millrace subscriptions try --filter '{"prefix":{"subject":"order/"}}' --last 100`,
    )
    .action(async ({ types, source, sql, filter = [], namespace, last, ...options }: TryOptions) => {
      const filters = [...(sql === undefined ? [] : [{ sql }]), ...filter.map((text) => parseJson(text, '--filter'))]
      const body = { types: types?.split(',') ?? [], source, filters, namespace, last: Number(last) }
      const answer = await call<Tried>(urlOf('dispatcher', options), '/subscriptions/try', { method: 'POST', body })
      const rows = answer.events.map(({ id, type, source, subject = '–', matches }) => [
        ...[matches ? 'yes' : 'no', type, source, subject, id],
      ])
      const summary = `${answer.matched} of the last ${answer.looked} events match.`
      const text =
        rows.length === 0
          ? 'No events were published yet.'
          : table(['MATCHES', 'TYPE', 'SOURCE', 'SUBJECT', 'EVENT'], rows)
      print(answer, { json: options.json ?? false, text: rows.length === 0 ? text : `${text}\n${summary}` })
    })
}

interface WhyOptions extends CommonOptions {
  readonly why?: string
}

function addMove(parent: Command): void {
  withCommonOptions(parent.command('move <id>'), 'dispatcher')
    .description('take a subscription back or ahead: what lies behind the place comes, also if it came before')
    .requiredOption('--to <place>', 'earliest, now, a time, or the id of an event (evt_…)')
    .option('--why <reason>', 'reason, for the audit trail; needed, since ahead means to pass over events')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace subscriptions move my-service.paid-orders --to 2026-11-22T08:00:00Z --why "the handler had a bug"\n  $ millrace subscriptions move my-service.paid-orders --to now --why "too old to be of use"',
    )
    .action(async (id: string, { to, ...options }: WhyOptions & { to: string }) => {
      const body = { to, who: currentUser(), why: reasonOf(options) }
      const answer = await call(urlOf('dispatcher', options), `${subscriptionPath(id)}/move`, { method: 'POST', body })
      print(answer, { json: options.json ?? false, text: `${id} moved to ${to}` })
    })
}

function addEnd(parent: Command): void {
  withCommonOptions(parent.command('end <id>'), 'dispatcher')
    .description('end a subscription of the API or of subscribe() for good; what waits in its queue is still delivered')
    .option('--why <reason>', 'reason, for the audit trail; needed')
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace subscriptions end my-service.mail-receipts --why "receipts are a letter now"',
    )
    .action(async (id: string, options: WhyOptions) => {
      const body = { who: currentUser(), why: reasonOf(options) }
      await call(urlOf('dispatcher', options), subscriptionPath(id), { method: 'DELETE', body })
      print({ id, result: 'ended' }, { json: options.json ?? false, text: `${id} ended` })
    })
}
