import { setTimeout } from 'node:timers/promises'
import type { ChainVerdict } from '@millrace/contracts'
import type { Command } from 'commander'
import { call } from '../http.ts'
import { print } from '../output.ts'
import { type CommonOptions, currentUser, urlOf, withCommonOptions } from './options.ts'

interface TrailVerdict {
  readonly valid: boolean
  readonly chains: number
  readonly records: number
  readonly trails: {
    readonly partition: string
    readonly valid: boolean
    readonly brokenAt?: number
    readonly reason?: string
  }[]
  readonly broken: {
    readonly namespace: string
    readonly entityId: string
    readonly brokenAt: number
    readonly reason: string
  }[]
}

interface Options extends CommonOptions {
  readonly namespace?: string
}

interface Rebuild {
  readonly state: 'never' | 'running' | 'done' | 'failed'
  readonly records: number
  readonly of: number
  readonly error?: string
}

/** A person watches; the rebuild itself takes seconds for each hundred thousand records. */
const POLL_MS = 250
/** A trail may hold millions of records. */
const VERIFY_TIMEOUT_MS = 600_000

export function addAudit(program: Command): void {
  const audit = program.command('audit').description('the tamper-evident audit trail')
  withCommonOptions(audit.command('verify [entity]'), 'audit')
    .description('verify the hash chain of one entity, or of the whole trail; exit code 1 when it is broken')
    .option('--namespace <namespace>', 'namespace of the entity')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace audit verify\n  $ millrace audit verify claim-42 --namespace my-service',
    )
    .action(async (entity: string | undefined, options: Options) => {
      const { valid, answer, text } =
        entity === undefined ? await verifyTrail(options) : await verifyEntity(entity, options)
      print(answer, { json: options.json ?? false, text })
      if (!valid) process.exitCode = 1
    })

  withCommonOptions(audit.command('rebuild'), 'audit')
    .description('make the read models (jobs, attempts, ticks, gas, statistics …) again from the records')
    .option('--why <why>', 'the reason, for the trail')
    .addHelpText(
      'after',
      '\nRecording and reading go on meanwhile. The command returns when the new rows are in use.\n\nExample:\n  $ millrace audit rebuild --why "after a restore"',
    )
    .action(async (options: CommonOptions & { why?: string }) => {
      const url = urlOf('audit', options)
      const body = { who: currentUser(), ...(options.why !== undefined && { why: options.why }) }
      let status = await call<Rebuild>(url, '/v1/rebuild', { method: 'POST', body })
      while (status.state === 'running') {
        await setTimeout(POLL_MS)
        status = await call<Rebuild>(url, '/v1/rebuild')
      }
      const text =
        status.state === 'done'
          ? `made again from ${status.records} records`
          : `failed: ${status.error ?? status.state}`
      print(status, { json: options.json ?? false, text })
      if (status.state !== 'done') process.exitCode = 1
    })
}

async function verifyTrail(options: Options) {
  const answer = await call<TrailVerdict>(urlOf('audit', options), '/v1/verify', { timeoutMs: VERIFY_TIMEOUT_MS })
  const { valid, chains, records, broken, trails } = answer
  const lines = [
    ...broken.map(
      ({ namespace, entityId, brokenAt, reason }) => `  ${namespace} ${entityId}: broken at ${brokenAt} (${reason})`,
    ),
    ...trails
      .filter((trail) => !trail.valid)
      .map(({ partition, brokenAt, reason }) => `  trail of partition ${partition}: broken at ${brokenAt} (${reason})`),
  ]
  const text = [`${valid ? 'intact' : 'TAMPERED'}: ${records} records in ${chains} chains`, ...lines].join('\n')
  return { valid, answer, text }
}

async function verifyEntity(entity: string, options: Options) {
  const query = new URLSearchParams({ ...(options.namespace !== undefined && { namespace: options.namespace }) })
  const answer = await call<{ data: ChainVerdict }>(
    urlOf('audit', options),
    `/v1/events/${encodeURIComponent(entity)}/verify?${query}`,
  )
  const { valid, totalEvents, brokenAt, reason } = answer.data
  const text = valid
    ? `intact: ${totalEvents} records`
    : `TAMPERED: broken at ${brokenAt} of ${totalEvents}${reason ? ` (${reason})` : ''}`
  return { valid, answer, text }
}
