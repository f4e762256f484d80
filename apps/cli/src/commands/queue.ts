import type { Command } from 'commander'
import { call } from '../http.ts'
import { print } from '../output.ts'
import { type CommonOptions, currentUser, reasonOf, urlOf, withCommonOptions } from './options.ts'

interface Options extends CommonOptions {
  readonly key?: string
  readonly why?: string
  readonly token?: string
}

/** `millrace queue pause|drain|resume|purge`. */
export function addQueue(program: Command): void {
  const queue = program.command('queue').description('act on one queue')
  addPause(queue, 'pause', 'stop starting jobs of a queue, or of one of its keys, until it is resumed')
  addPause(queue, 'drain', 'refuse new jobs and deliver what is in, until the queue is resumed')
  addPause(queue, 'resume', 'let a queue that is paused or drained, or a paused key, go on')
  addPurge(queue)
}

function addPause(parent: Command, action: 'pause' | 'drain' | 'resume', description: string): void {
  const command = withCommonOptions(parent.command(`${action} <namespace> <queue>`), 'dispatcher').description(
    description,
  )
  if (action !== 'drain') command.option('--key <key>', 'one key of a queue with keyConcurrency')
  command
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText('after', `\nExample:\n  $ millrace queue ${action} my-service sync-record --why "upstream is down"`)
    .action(async (namespace: string, name: string, options: Options) => {
      const why = action === 'drain' ? reasonOf(options) : options.why
      const body = { who: currentUser(), key: options.key, why }
      const answer = await post<{ result: string }>(options, pathOf(namespace, name, action), body)
      print(answer, { json: options.json ?? false, text: `${namespace}/${name} ${answer.result}` })
    })
}

interface PurgeCount {
  readonly waiting: number
  readonly scheduled: number
  readonly token: string
}

function addPurge(parent: Command): void {
  withCommonOptions(parent.command('purge <namespace> <queue>'), 'dispatcher')
    .description('cancel everything that waits; without --token it only counts, and says the token')
    .option('--token <token>', 'from the count a moment ago')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace queue purge my-service sync-record\n  $ millrace queue purge my-service sync-record --token … --why "sent twice"',
    )
    .action(async (namespace: string, name: string, options: Options) => {
      const path = pathOf(namespace, name, 'purge')
      if (options.token === undefined) {
        const counted = await post<PurgeCount>(options, path, { who: currentUser() })
        const text = `${counted.waiting} jobs wait (${counted.scheduled} scheduled ones would stay). To cancel them: --token ${counted.token} --why "…"`
        print(counted, { json: options.json ?? false, text })
        return
      }
      const body = { who: currentUser(), token: options.token, why: reasonOf(options) }
      const purged = await post<{ purged: number }>(options, path, body)
      print(purged, { json: options.json ?? false, text: `${purged.purged} cancelled` })
    })
}

function post<T>(options: Options, path: string, body: unknown): Promise<T> {
  return call<T>(urlOf('dispatcher', options), path, { method: 'POST', body })
}

function pathOf(namespace: string, queue: string, action: string): string {
  return `/queues/${encodeURIComponent(namespace)}/${encodeURIComponent(queue)}/${action}`
}
