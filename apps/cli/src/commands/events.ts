import { setTimeout as sleep } from 'node:timers/promises'
import type { StatedDurability } from '@millrace/contracts'
import type { Command } from 'commander'
import { call, UnreachableError } from '../http.ts'
import { durabilityText, print, shorten, table } from '../output.ts'
import { parseJson } from './json-argument.ts'
import { type CommonOptions, urlOf, withCommonOptions } from './options.ts'

/** A CloudEvent, as the dispatcher hands it out. */
interface CloudEvent {
  readonly id: string
  readonly type: string
  readonly source: string
  readonly subject?: string
  readonly time?: string
  readonly data?: unknown
  readonly data_base64?: string
}

interface Page {
  readonly events: CloudEvent[]
  readonly cursor: string
  /** The log no longer has all of this time. */
  readonly missed?: { readonly since: string; readonly until: string }
}

/** How long the dispatcher holds a request until there is an event; the longest that it allows. */
const WAIT_SECONDS = 30
const TRY_AGAIN_MS = 1000

/** `millrace events publish|list|tail`. */
export function addEvents(program: Command): void {
  const events = program.command('events').description('publish events, and look at them')
  addPublish(events)
  addList(events)
  addTail(events)
}

interface PublishOptions extends CommonOptions {
  readonly namespace?: string
  readonly subject?: string
  readonly source?: string
  readonly id?: string
  readonly time?: string
  readonly key?: string
}

interface Published extends StatedDurability {
  readonly id: string
  readonly namespace: string
  readonly position: string
  readonly deduplicated?: true
  readonly warnings?: readonly { readonly pointer: string; readonly detail: string }[]
}

function addPublish(parent: Command): void {
  withCommonOptions(parent.command('publish <type> [data]'), 'dispatcher')
    .description('publish one event; data is JSON')
    .option('--namespace <namespace>', 'whose event it is; without it that of the service that declares the type')
    .option('--subject <subject>', 'what it is about; events of one subject keep their order')
    .option('--source <source>', 'without it /<namespace>')
    .option('--id <id>', 'the same source and id within 24 hours is the same event')
    .option('--time <time>', 'when it happened, 2026-11-22T08:00:00Z; now without it')
    .option('--key <key>', 'partition key: events of one key keep their order, instead of those of one subject')
    .addHelpText(
      'after',
      `\nExamples:\n  $ millrace events publish order.paid '{"cents":4200}' --namespace shop --subject order/7\n  $ millrace subscriptions try --types 'order.*' --sql "subject LIKE 'order/%'"`,
    )
    .action(async (type: string, data: string | undefined, options: PublishOptions) => {
      const { namespace, subject, source, id, time, key } = options
      const given = { namespace, subject, source, id, time, partitionkey: key }
      const body = { type, ...given, ...(data !== undefined && { data: parseJson(data, 'data') }) }
      const answer = await call<Published>(urlOf('dispatcher', options), '/events', { method: 'POST', body })
      print(answer, { json: options.json ?? false, text: describe(answer) })
    })
}

function describe(published: Published): string {
  const { id, namespace, position, deduplicated, warnings = [] } = published
  const done = deduplicated ? 'was published before' : 'published'
  return [
    `${id} ${done} (namespace: ${namespace}, position: ${position}, durability: ${durabilityText(published)})`,
    ...warnings.map(({ pointer, detail }) => `  warning  ${pointer || '/'} ${detail}`),
  ].join('\n')
}

interface ReadOptions extends CommonOptions {
  readonly after: string
  readonly namespace?: string
  readonly limit?: string
}

function withReadOptions(command: Command, { after }: { after: string }): Command {
  return withCommonOptions(command, 'dispatcher')
    .option(
      '--after <place>',
      'earliest, now, a time, the id of an event (evt_…), or the cursor that was printed',
      after,
    )
    .option('--namespace <namespace>', 'who reads: what the platform says of others is left out')
}

function read(
  types: readonly string[],
  { namespace, ...options }: ReadOptions,
  more: Record<string, string>,
): Promise<Page> {
  const query = new URLSearchParams({ types: types.join(','), ...(namespace && { namespace }), ...more })
  return call<Page>(urlOf('dispatcher', options), `/events?${query}`)
}

function addList(parent: Command): void {
  withReadOptions(parent.command('list [types...]'), { after: 'earliest' })
    .description('events from a place on, the oldest first; all that services publish, or some types')
    .option('--limit <n>', 'how many at most', '20')
    .addHelpText(
      'after',
      "\nExamples:\n  $ millrace events list 'order.*' --after 2026-11-22T08:00:00Z\n  $ millrace events list job.dead_lettered --namespace shop",
    )
    .action(async (types: string[], options: ReadOptions) => {
      const { after, limit = '20' } = options
      const page = await read(types, options, { after, limit })
      const rows = page.events.map((event) => [...rowOf(event), shorten(dataOf(event), 60)])
      const isFull = rows.length === Number(limit)
      if (page.missed) console.error(missedText(page.missed))
      const text = [
        rows.length === 0 ? 'No events.' : table(['TIME', 'TYPE', 'SOURCE', 'SUBJECT', 'ID', 'DATA'], rows),
        ...(isFull ? [`(there may be more: --after ${page.cursor})`] : []),
      ].join('\n')
      print(page, { json: options.json ?? false, text })
    })
}

function addTail(parent: Command): void {
  withReadOptions(parent.command('tail [types...]'), { after: 'now' })
    .description('events as they come, until Ctrl-C; with --json one CloudEvent a line')
    .addHelpText(
      'after',
      "\nExamples:\n  $ millrace events tail\n  $ millrace events tail 'order.*' invoice.sent --json | jq .data",
    )
    .action(async (types: string[], options: ReadOptions) => {
      let { after } = options
      let isAway = false
      for (let isFirst = true; ; isFirst = false) {
        // The first answer comes at once: it says where "now" is, and whether what was asked for makes sense.
        const wait = String(isFirst ? 0 : WAIT_SECONDS)
        const page = await read(types, options, { after, wait, limit: '1000' }).catch((error: unknown) => {
          if (isFirst || !(error instanceof UnreachableError)) throw error
          if (!isAway) console.error('millrace: the dispatcher is away; going on where this broke off when it is back')
          isAway = true
          return undefined
        })
        if (!page) {
          await sleep(TRY_AGAIN_MS)
          continue
        }
        isAway = false
        after = page.cursor
        if (page.missed) console.error(missedText(page.missed))
        for (const event of page.events) console.log(options.json ? JSON.stringify(event) : lineOf(event))
      }
    })
}

function missedText({ since, until }: NonNullable<Page['missed']>): string {
  return `millrace: events from ${since} to ${until} are no longer in the log; the audit trail has them: GET /v1/events?since=${since}&until=${until}`
}

function rowOf({ time = '–', type, source, subject = '–', id }: CloudEvent): string[] {
  return [time, type, source, subject, id]
}

function lineOf(event: CloudEvent): string {
  return [...rowOf(event), shorten(dataOf(event), 200)].join('  ')
}

function dataOf({ data, data_base64 }: CloudEvent): string {
  if (data_base64 !== undefined) return `(binary) ${data_base64}`
  return data === undefined ? '' : JSON.stringify(data)
}
