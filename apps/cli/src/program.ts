import { VERSION } from '@millrace/runtime/config'
import { Command } from 'commander'
import { addApply } from './commands/apply.ts'
import { addAudit } from './commands/audit.ts'
import { addDeadLetters } from './commands/dead-letters.ts'
import { addDoctor } from './commands/doctor.ts'
import { addEnqueue } from './commands/enqueue.ts'
import { addEvents } from './commands/events.ts'
import { addJobs } from './commands/jobs.ts'
import { addKeys } from './commands/keys.ts'
import { addQueue } from './commands/queue.ts'
import { addQueues } from './commands/queues.ts'
import { addSchedule } from './commands/schedule.ts'
import { addSecrets } from './commands/secrets.ts'
import { addSubscriptions } from './commands/subscriptions.ts'
import { addTrigger } from './commands/trigger.ts'
import { addUp } from './commands/up.ts'

/** The `millrace` command with all its subcommands. */
export function createProgram(): Command {
  const program = new Command('millrace')
    .description(
      'Declare queues, schedules and subscriptions in YAML, receive every job as one HTTP POST, prove what happened.',
    )
    .version(VERSION)
    // Its own options stand before the command: `--token -Vx…` behind one is a token and does not ask for the version.
    .enablePositionalOptions()
    .showHelpAfterError('(add --help for an example)')
    .addHelpText(
      'after',
      `
A first round, with Millrace running (npm start):
  $ millrace apply catalog-info.yaml --service-url http://127.0.0.1:3000
  $ millrace enqueue my-service sync-record '{"recordId":"r1"}'
  $ millrace jobs get job_… --wait 30s
  $ millrace events publish order.paid '{"cents":4200}' --namespace shop
  $ millrace dead-letters list my-service
  $ millrace audit verify

Ports come from MILLRACE_DISPATCHER_PORT (7401), MILLRACE_SCHEDULER_PORT (7402), MILLRACE_AUDIT_PORT (7403);
--url names another address. Every command takes --json.`,
    )
  addUp(program)
  addApply(program)
  addEnqueue(program)
  addTrigger(program)
  addSchedule(program)
  addEvents(program)
  addSubscriptions(program)
  addQueues(program)
  addQueue(program)
  addJobs(program)
  addDeadLetters(program)
  addAudit(program)
  addKeys(program)
  addDoctor(program)
  addSecrets(program)
  return program
}
