import type { JobView } from '@millrace/contracts'
import type { Command } from 'commander'
import { call } from '../http.ts'
import { print, shorten } from '../output.ts'
import { type CommonOptions, currentUser, reasonOf, urlOf, withCommonOptions } from './options.ts'

export function addJobs(program: Command): void {
  const jobs = program.command('jobs').description('look at jobs, and act on one')
  addCancel(jobs)
  addExplain(jobs)
  withCommonOptions(jobs.command('get <id>'), 'audit')
    .description('one job with its whole history')
    .option('--wait <time>', 'wait until the job is final, at most so long: 30s, or milliseconds')
    .addHelpText('after', '\nExample:\n  $ millrace jobs get job_0193a1b2c3d00001000 --wait 30s')
    .action(async (id: string, options: CommonOptions & { wait?: string }) => {
      const query = options.wait === undefined ? '' : `?wait=${encodeURIComponent(options.wait)}`
      const job = await call<JobView>(urlOf('audit', options), `/v1/jobs/${encodeURIComponent(id)}${query}`, {
        timeoutMs: 90_000,
      })
      print(job, { json: options.json ?? false, text: describe(job) })
    })
}

function describe(job: JobView): string {
  const reason = job.reason ? ` (${job.reason})` : ''
  return [
    `${job.id}  ${job.namespace}/${job.queue}`,
    `  state     ${job.state}${reason} after ${job.attempts} attempt${job.attempts === 1 ? '' : 's'}`,
    `  data      ${shorten(JSON.stringify(job.data), 200)}`,
    '  history',
    ...job.history.map(({ at, type, data }) => `    ${at}  ${type.padEnd(20)} ${shorten(withoutPayload(data), 120)}`),
  ].join('\n')
}

/** The payload stands above already. */
function withoutPayload(data: unknown): string {
  const { data: _payload, ...rest } = (data ?? {}) as Record<string, unknown>
  return JSON.stringify(rest)
}

function addCancel(jobs: Command): void {
  withCommonOptions(jobs.command('cancel <id>'), 'dispatcher')
    .description('cancel a waiting, scheduled or running job')
    .option('--why <reason>', 'reason, for the audit trail; must be given')
    .addHelpText('after', '\nExample:\n  $ millrace jobs cancel job_0193a1b2c3d00001000 --why "wrong order"')
    .action(async (id: string, options: CommonOptions & { why?: string }) => {
      const body = { who: currentUser(), why: reasonOf(options) }
      const path = `/jobs/${encodeURIComponent(id)}/cancel`
      const answer = await call<{ result: string }>(urlOf('dispatcher', options), path, { method: 'POST', body })
      const text = answer.result === 'cancelling' ? `${id} runs; its request is being ended` : `${id} cancelled`
      print(answer, { json: options.json ?? false, text })
    })
}

interface Explained {
  readonly state: string
  readonly queue: string
  readonly reasons: readonly { readonly code: string; readonly detail: string }[]
}

function addExplain(jobs: Command): void {
  withCommonOptions(jobs.command('explain <id>'), 'dispatcher')
    .description('why a job is not running now')
    .addHelpText('after', '\nExample:\n  $ millrace jobs explain job_0193a1b2c3d00001000')
    .action(async (id: string, options: CommonOptions) => {
      const answer = await call<Explained>(urlOf('dispatcher', options), `/jobs/${encodeURIComponent(id)}/explain`)
      const lines = answer.reasons.map(({ code, detail }) => `  ${code.padEnd(16)} ${detail}`)
      print(answer, {
        json: options.json ?? false,
        text: [`${id} is ${answer.state} in ${answer.queue}`, ...lines].join('\n'),
      })
    })
}
