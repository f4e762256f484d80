import type { JobView } from '@millrace/contracts'
import type { Command } from 'commander'
import { call } from '../http.ts'
import { print, shorten } from '../output.ts'
import { type CommonOptions, urlOf, withCommonOptions } from './options.ts'

export function addJobs(program: Command): void {
  const jobs = program.command('jobs').description('look at jobs')
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
