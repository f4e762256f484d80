import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { EventSourceParserStream } from 'eventsource-parser/stream'
import { CommandError, open, UnreachableError } from '../http.ts'
import { type CommonOptions, urlOf, withCommonOptions } from './options.ts'

interface TailOptions extends CommonOptions {
  readonly namespace?: string
  readonly queue?: string
  readonly models?: string
  readonly state?: string
  readonly after?: string
}

const TRY_AGAIN_MS = 1000

/** `millrace audit tail`. */
export function addTail(audit: Command): void {
  withCommonOptions(audit.command('tail'), 'audit')
    .description('what changes in jobs, attempts, schedules, ticks, subscriptions and gas, until Ctrl-C')
    .option('--namespace <namespace>', 'only of this namespace')
    .option('--queue <queue>', 'only of this queue: send-mail, schedule:nightly-sync, subscription:orders')
    .option('--models <models>', 'with commas between, such as jobs,ticks; all but queue_stats without it')
    .option('--state <state>', 'only jobs and ticks in this state, and attempts with this outcome')
    .option('--after <cursor>', 'go on behind an id that was printed with --json; s is the beginning; now without it')
    .addHelpText(
      'after',
      '\nEach line is a row that changed, as it stands then; with --json an object with kind, id and row.' +
        '\n\nExamples:\n  $ millrace audit tail --namespace my-service\n  $ millrace audit tail --models jobs --state dead --json | jq .row.id',
    )
    .action(async ({ after, json = false, url: address, ...filter }: TailOptions) => {
      const url = urlOf('audit', { ...(address !== undefined && { url: address }) })
      let cursor = after
      let isAway = false
      for (let isFirst = true; ; isFirst = false) {
        try {
          for await (const { event: kind = '', id, data } of await messages(url, { ...filter, cursor })) {
            isAway = false
            cursor = id ?? cursor
            if (SILENT.has(kind)) continue
            console.log(json ? JSON.stringify({ kind, id, row: JSON.parse(data) }) : lineOf(kind, data))
          }
        } catch (error) {
          // A refusal is as good the second time; a connection that broke off is not.
          if (error instanceof CommandError && (isFirst || !(error instanceof UnreachableError))) throw error
        }
        if (!isAway) console.error('millrace: the audit app has ended the stream; going on where it broke off')
        isAway = true
        await sleep(TRY_AGAIN_MS)
      }
    })
}

/** What tells of no row. */
const SILENT: ReadonlySet<string> = new Set(['begin', 'place', 'cut'])

async function messages(url: string, query: Readonly<Record<string, string | undefined>>) {
  const given = Object.entries(query).filter((pair): pair is [string, string] => pair[1] !== undefined)
  const body = await open(url, `/v1/stream?${new URLSearchParams(given)}`)
  return body.pipeThrough(new TextDecoderStream()).pipeThrough(new EventSourceParserStream())
}

/** The row's members as its list has them, those that name it first. */
function lineOf(kind: string, data: string): string {
  const members = Object.entries(JSON.parse(data) as Record<string, unknown>).map(
    ([name, value]) => `${name}=${typeof value === 'object' ? JSON.stringify(value) : value}`,
  )
  return [kind.padEnd(12), ...members].join('  ')
}
