import type { Command } from 'commander'
import { readConfig } from '../config.ts'

export function addUp(program: Command): void {
  program
    .command('up')
    .description('run everything on this machine: Redis, dispatcher, scheduler, audit; Ctrl-C drains')
    .option('--example', 'also run the example service and fire its schedule once')
    .option('--no-example', 'the platform alone (default)')
    .addHelpText(
      'after',
      `
Environment:
  MILLRACE_HOME             data folder (default .millrace)
  MILLRACE_DISPATCHER_PORT  7401     MILLRACE_SCHEDULER_PORT  7402     MILLRACE_AUDIT_PORT  7403
  MILLRACE_EXAMPLE_PORT     7410     the example service
  REDIS_URL                 use this Redis or Valkey instead of an embedded server

Example:
  $ millrace up --example
  $ MILLRACE_HOME=/var/lib/millrace REDIS_URL=redis://10.0.0.5:6379 millrace up`,
    )
    .action(async (options: { example?: boolean }) => {
      // What only this command needs is loaded by it alone: the others answer in a tenth of a second.
      const { up } = await import('../up/up.ts')
      process.exitCode = await up(readConfig(), { example: options.example === true })
    })
}
