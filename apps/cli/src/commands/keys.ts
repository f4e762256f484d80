import type { IssuedKey, Key } from '@millrace/contracts'
import type { Command } from 'commander'
import { call, callAll } from '../http.ts'
import { print, table } from '../output.ts'
import { type CommonOptions, currentUser, reasonOf, urlOf, withCommonOptions } from './options.ts'

interface Options extends CommonOptions {
  readonly grant?: string[]
  readonly expires?: string
  readonly grace?: string
  readonly why?: string
}

/** `millrace keys create|list|rotate|revoke`. */
export function addKeys(program: Command): void {
  const keys = program.command('keys').description('API keys: who may do what, in which namespace')
  withCommonOptions(keys.command('create <name>'), 'dispatcher')
    .description('make a key; it is shown once and kept only as a hash')
    .requiredOption('--grant <role:namespace...>', 'what it allows, such as producer:shop or operator:*')
    .option('--expires <time>', 'refused from then on, such as 2027-01-31T00:00:00Z')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText(
      'after',
      `
Roles: producer (jobs, events, audit events), worker (heartbeat, complete, fail), operator (apply, pause, redrive,
cancel, run), auditor (the trail), admin (all of it, and keys).

Example:
  $ millrace keys create shop-api --grant producer:shop worker:shop`,
    )
    .action(create)
  withCommonOptions(keys.command('list'), 'dispatcher')
    .description('all keys, without their secrets')
    .addHelpText('after', '\nExample:\n  $ millrace keys list')
    .action(list)
  withCommonOptions(keys.command('rotate <id>'), 'dispatcher')
    .description('give a key a new secret; the old one works for a while beside it')
    .option('--grace <seconds>', 'how long the old one works', '86400')
    .option('--why <reason>', 'reason, for the audit trail; must be given with --grace 0')
    .addHelpText(
      'after',
      '\nExample:\n  $ millrace keys rotate 5d1e2c7a90b4 --grace 3600\n  $ millrace keys rotate 5d1e2c7a90b4 --grace 0 --why "it leaked"',
    )
    .action(rotate)
  withCommonOptions(keys.command('revoke <id>'), 'dispatcher')
    .description('refuse a key from now on')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText('after', '\nExample:\n  $ millrace keys revoke 5d1e2c7a90b4 --why "its service is gone"')
    .action(revoke)
}

async function create(name: string, options: Options): Promise<void> {
  const body = {
    ...{ name, grants: options.grant, who: currentUser() },
    ...(options.expires !== undefined && { expiresAt: options.expires }),
    ...(options.why !== undefined && { why: options.why }),
  }
  show(await call<IssuedKey>(urlOf('dispatcher', options), '/keys', { method: 'POST', body }), options)
}

async function list(options: Options): Promise<void> {
  const keys = await callAll<Key>(urlOf('dispatcher', options), '/keys', 'keys')
  const rows = keys.map((key) => [key.id, key.name, key.grants.join(' '), key.createdAt, key.createdBy, stateOf(key)])
  const header = ['id', 'name', 'grants', 'created', 'by', 'state']
  const text = keys.length === 0 ? 'No keys yet: millrace keys create <name> --grant …' : table(header, rows)
  print({ keys }, { json: options.json ?? false, text })
}

function stateOf({ revokedAt, expiresAt }: Key): string {
  if (revokedAt) return `revoked ${revokedAt}`
  if (!expiresAt) return 'valid'
  return `${Date.parse(expiresAt) <= Date.now() ? 'expired' : 'until'} ${expiresAt}`
}

async function rotate(id: string, options: Options): Promise<void> {
  const body = {
    ...{ who: currentUser(), graceSeconds: Number(options.grace) },
    ...(options.why !== undefined && { why: options.why }),
  }
  show(await call<IssuedKey>(urlOf('dispatcher', options), pathOf(id, 'rotate'), { method: 'POST', body }), options)
}

async function revoke(id: string, options: Options): Promise<void> {
  const body = { who: currentUser(), why: reasonOf(options) }
  const key = await call<Key>(urlOf('dispatcher', options), pathOf(id, 'revoke'), { method: 'POST', body })
  print(key, { json: options.json ?? false, text: `${key.name} (${key.id}) is refused from now on` })
}

/** The key alone on its line, so that it can be copied or cut out by a script. */
function show(issued: IssuedKey, { json = false }: Options): void {
  const until = issued.oldSecretUntil === undefined ? '' : `\nThe old one works until ${issued.oldSecretUntil}.`
  const text = `${issued.key}\n\n${issued.name} (${issued.id}): ${issued.grants.join(' ')}\nKeep it now, it is not shown again.${until}`
  print(issued, { json, text })
}

function pathOf(id: string, action: string): string {
  return `/keys/${encodeURIComponent(id)}/${action}`
}
