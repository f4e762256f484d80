import type { StatedDurability } from '@millrace/contracts'
import type { Command } from 'commander'
import { call } from '../http.ts'
import { durabilityText, print } from '../output.ts'
import { parseJson } from './json-argument.ts'
import { type CommonOptions, urlOf, withCommonOptions } from './options.ts'

interface Options extends CommonOptions {
  readonly delay?: string
  readonly priority?: string
  readonly key?: string
}

export function addEnqueue(program: Command): void {
  withCommonOptions(program.command('enqueue <namespace> <queue> [data]'), 'dispatcher')
    .description('enqueue one job; data is JSON, {} when left out')
    .option('--delay <ms>', 'not before so many milliseconds from now')
    .option('--priority <lane>', 'high, normal or low')
    .option('--key <key>', 'idempotency key: the same key within a day gives the same job')
    .addHelpText('after', `\nExample:\n  $ millrace enqueue my-service sync-record '{"recordId":"r1"}' --delay 5000`)
    .action(async (namespace: string, queue: string, data: string | undefined, options: Options) => {
      const body = {
        namespace,
        queue,
        data: parseJson(data ?? '{}', 'data'),
        ...(options.delay !== undefined && { delayMs: Number(options.delay) }),
        ...(options.priority !== undefined && { priority: options.priority }),
        ...(options.key !== undefined && { idempotencyKey: options.key }),
      }
      const answer = await call<{ id: string } & StatedDurability>(urlOf('dispatcher', options), '/jobs', {
        method: 'POST',
        body,
      })
      print(answer, {
        json: options.json ?? false,
        text: `${answer.id} accepted (durability: ${durabilityText(answer)})`,
      })
    })
}
