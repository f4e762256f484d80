import type { QueueCounts } from '@millrace/contracts'
import type { Command } from 'commander'
import { callAll } from '../http.ts'
import { print, table } from '../output.ts'
import { type CommonOptions, urlOf, withCommonOptions } from './options.ts'

export function addQueues(program: Command): void {
  withCommonOptions(program.command('queues [namespace]'), 'dispatcher')
    .description('live counts of queues')
    .addHelpText('after', '\nExample:\n  $ millrace queues my-service')
    .action(async (namespace: string | undefined, options: CommonOptions) => {
      const query = namespace === undefined ? '' : `?namespace=${encodeURIComponent(namespace)}`
      const queues = await callAll<QueueCounts>(urlOf('dispatcher', options), `/queues${query}`, 'queues')
      const rows = queues.map((queue) => [
        `${queue.namespace}/${queue.queue}${stateOf(queue)}`,
        ...[queue.waiting, queue.scheduled, queue.running, queue.succeeded, queue.dead, queue.accepted].map(String),
      ])
      print(
        { queues },
        {
          json: options.json ?? false,
          text: table(['QUEUE', 'WAITING', 'SCHEDULED', 'RUNNING', 'SUCCEEDED', 'DEAD', 'ACCEPTED'], rows),
        },
      )
    })
}

function stateOf({ closing, paused, draining }: QueueCounts): string {
  const states = [closing && 'closing', paused && 'paused', draining && 'draining'].filter(Boolean)
  return states.length > 0 ? ` (${states.join(', ')})` : ''
}
