import { setTimeout } from 'node:timers/promises'
import type { ChainVerdict, EraseResult, Hold } from '@millrace/contracts'
import type { Command } from 'commander'
import { call, callAll, ProblemAnswer } from '../http.ts'
import { print, table } from '../output.ts'
import { addExport, verifyExport } from './audit-export.ts'
import { addTail } from './audit-tail.ts'
import { VERDICTS, type Verdict, type Verified } from './audit-verdict.ts'
import { type CommonOptions, currentUser, reasonOf, urlOf, withCommonOptions } from './options.ts'

interface TrailVerdict {
  readonly verdict: Verdict
  readonly chains: number
  readonly records: number
  readonly erased: number
  readonly trails: {
    readonly partition: string
    readonly valid: boolean
    readonly brokenAt?: number
    readonly reason?: string
  }[]
  readonly broken: {
    readonly namespace: string
    readonly entityId: string
    readonly verdict: Verdict
    readonly level: string
    readonly brokenAt: number
    readonly eventId?: string
    readonly reason: string
  }[]
}

interface VerifyOptions extends CommonOptions {
  readonly namespace?: string
  readonly export?: string
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

/** `millrace audit verify|export|erase|hold|release|holds|rebuild|tail`. */
export function addAudit(program: Command): void {
  const audit = program.command('audit').description('the tamper-evident audit trail')
  withCommonOptions(audit.command('verify [entity]'), 'audit')
    .description('verify the chain of one entity, the whole trail, or an export without any server')
    .option('--namespace <namespace>', 'namespace of the entity')
    .option('--export <file>', 'verify this NDJSON export, with nothing but the file')
    .addHelpText(
      'after',
      '\nExit codes: 0 intact, 1 tampered, 2 unverifiable, 3 never recorded.' +
        '\n\nExamples:\n  $ millrace audit verify\n  $ millrace audit verify claim-42 --namespace my-service\n  $ millrace audit verify --export trail.ndjson',
    )
    .action(async (entity: string | undefined, options: VerifyOptions) => {
      const { verdict, answer, lines } = await verify(entity, options)
      print(answer, { json: options.json ?? false, text: lines.join('\n') })
      process.exitCode = VERDICTS[verdict].exitCode
    })
  addExport(audit)
  addErase(audit)
  addHolds(audit)
  addTail(audit)

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

function verify(entity: string | undefined, options: VerifyOptions): Promise<Verified> {
  if (options.export !== undefined) return verifyExport(options.export)
  return entity === undefined ? verifyTrail(options) : verifyEntity(entity, options)
}

async function verifyTrail(options: VerifyOptions): Promise<Verified> {
  const answer = await call<TrailVerdict>(urlOf('audit', options), '/v1/verify', { timeoutMs: VERIFY_TIMEOUT_MS })
  const { verdict, chains, records, erased, broken, trails } = answer
  const lines = [
    `${VERDICTS[verdict].says}: ${records} records in ${chains} chains${erased > 0 ? `, ${erased} without payload` : ''}`,
    ...broken.map(
      ({ namespace, entityId, level, brokenAt, eventId = '', reason }) =>
        `  ${namespace} ${entityId}: ${level} ${brokenAt} ${eventId} (${reason})`,
    ),
    ...trails
      .filter((trail) => !trail.valid)
      .map(({ partition, brokenAt, reason }) => `  trail of partition ${partition}: ${brokenAt} (${reason})`),
  ]
  return { verdict, answer, lines }
}

async function verifyEntity(entity: string, options: VerifyOptions): Promise<Verified> {
  const query = new URLSearchParams({ ...(options.namespace !== undefined && { namespace: options.namespace }) })
  const path = `/v1/events/${encodeURIComponent(entity)}/verify?${query}`
  try {
    const answer = await call<{ data: ChainVerdict }>(urlOf('audit', options), path)
    const { verdict, totalEvents, brokenAt, level, reason } = answer.data
    const where = brokenAt === undefined ? '' : `, ${level} ${brokenAt} (${reason})`
    return { verdict, answer, lines: [`${VERDICTS[verdict].says}: ${totalEvents} records${where}`] }
  } catch (error) {
    if (!(error instanceof ProblemAnswer) || error.problem.code !== 'entity.unknown') throw error
    const verdict = 'never recorded'
    return { verdict, answer: { verdict, ...error.problem }, lines: [`never recorded: ${error.problem.detail}`] }
  }
}

interface EraseOptions extends CommonOptions {
  readonly namespace?: string
  readonly field?: string[]
  readonly dryRun?: boolean
  readonly why?: string
}

function addErase(audit: Command): void {
  withCommonOptions(audit.command('erase <subject>'), 'audit')
    .description("destroy the payloads of a person's records; every hash still verifies")
    .option('--namespace <namespace>', 'only in this namespace')
    .option('--field <field...>', 'also where a payload holds the subject there, such as customer.id')
    .option('--dry-run', 'only count')
    .option('--why <reason>', 'reason, for the audit trail; must be given')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace audit erase customer-7 --field customerId data.customerId --dry-run --why "letter of 3 May"\n  $ millrace audit erase customer-7 --field customerId data.customerId --why "letter of 3 May"',
    )
    .action(async (subject: string, options: EraseOptions) => {
      const { namespace, field: fields, dryRun } = options
      const body = {
        ...{ who: currentUser(), why: reasonOf(options) },
        ...(namespace !== undefined && { namespace }),
        ...(fields && { fields }),
        ...(dryRun && { dryRun }),
      }
      const path = `/v1/subjects/${encodeURIComponent(subject)}/erase`
      const answer = await call<EraseResult>(urlOf('audit', options), path, {
        method: 'POST',
        body,
        timeoutMs: VERIFY_TIMEOUT_MS,
      })
      const { matching, held, erased } = answer
      const text = `${matching} records, ${held} of them held; ${dryRun ? 'nothing was erased, it was a dry run' : `${erased} erased`}`
      print(answer, { json: options.json ?? false, text })
    })
}

interface HoldOptions extends CommonOptions {
  readonly entity?: string
  readonly why?: string
}

function addHolds(audit: Command): void {
  withCommonOptions(audit.command('hold <namespace>'), 'audit')
    .description('let no payload of a namespace, or of one entity, be destroyed')
    .option('--entity <entity>', 'only of this entity')
    .option('--why <reason>', 'reason, for the audit trail; must be given')
    .addHelpText('after', '\nExample:\n  $ millrace audit hold my-service --entity claim-42 --why "case 7"')
    .action(async (namespace: string, options: HoldOptions) => {
      const body = { namespace, entityId: options.entity, who: currentUser(), why: reasonOf(options) }
      const hold = await call<Hold>(urlOf('audit', options), '/v1/holds', { method: 'POST', body })
      print(hold, { json: options.json ?? false, text: `${hold.id} in force` })
    })
  withCommonOptions(audit.command('release <hold>'), 'audit')
    .description('end a legal hold')
    .option('--why <reason>', 'reason, for the audit trail; must be given')
    .addHelpText('after', '\nExample:\n  $ millrace audit release hold_… --why "case 7 is closed"')
    .action(async (id: string, options: HoldOptions) => {
      const body = { who: currentUser(), why: reasonOf(options) }
      const path = `/v1/holds/${encodeURIComponent(id)}/release`
      const hold = await call<Hold>(urlOf('audit', options), path, { method: 'POST', body })
      print(hold, { json: options.json ?? false, text: `${hold.id} released` })
    })
  withCommonOptions(audit.command('holds'), 'audit')
    .description('legal holds in force, the newest first')
    .addHelpText('after', '\nExample:\n  $ millrace audit holds')
    .action(async (options: CommonOptions) => {
      const holds = await callAll<Hold>(urlOf('audit', options), '/v1/holds', 'holds')
      const rows = holds.map((hold) => [
        ...[hold.id, hold.namespace, hold.entityId ?? '(all)', hold.placedAt, hold.who, hold.why],
      ])
      const text = rows.length === 0 ? 'No holds.' : table(['HOLD', 'NAMESPACE', 'ENTITY', 'SINCE', 'WHO', 'WHY'], rows)
      print({ holds }, { json: options.json ?? false, text })
    })
}
