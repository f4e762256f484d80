import type { IssuedSecret, SigningSecret } from '@millrace/contracts'
import type { Command } from 'commander'
import { call } from '../http.ts'
import { print, table } from '../output.ts'
import { type CommonOptions, currentUser, reasonOf, urlOf, withCommonOptions } from './options.ts'

interface Options extends CommonOptions {
  readonly kind?: string
  readonly grace?: string
  readonly why?: string
}

/** `millrace secrets rotate|list|revoke|reseal`. */
export function addSecrets(program: Command): void {
  const secrets = program.command('secrets').description('signing secrets: how a service knows that a delivery is ours')
  withCommonOptions(secrets.command('rotate <namespace>'), 'dispatcher')
    .description('give a namespace a signing secret, or a new one; it is shown once')
    .option('--kind <kind>', 'hmac (a secret that both sides know), or ed25519 (the service has a public key)', 'hmac')
    .option('--grace <seconds>', 'how long deliveries are signed with the old one as well; 0: not at all', '86400')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText(
      'after',
      `
Deliveries carry webhook-signature from the first one on. To verify them, give the service what this prints, as
MILLRACE_SIGNING_SECRET: docs/verifying.md.

Example:
  $ millrace secrets rotate shop
  $ millrace secrets rotate shop --grace 0 --why "the old one leaked"`,
    )
    .action(rotate)
  withCommonOptions(secrets.command('list <namespace>'), 'dispatcher')
    .description('the signing secrets of a namespace, without what they sign with')
    .addHelpText('after', '\nExample:\n  $ millrace secrets list shop')
    .action(list)
  withCommonOptions(secrets.command('revoke <namespace> <id>'), 'dispatcher')
    .description('sign nothing with a secret from now on; if it was to replace another, that one goes on')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText('after', '\nExample:\n  $ millrace secrets revoke shop sec_… --why "it leaked"')
    .action(revoke)
  withCommonOptions(secrets.command('reseal'), 'dispatcher')
    .description('after a change of MILLRACE_MASTER_KEY: seal every secret with its first key')
    .option('--why <reason>', 'reason, for the audit trail')
    .addHelpText('after', '\nExample:\n  $ millrace secrets reseal --why "the master key was replaced"')
    .action(reseal)
}

async function rotate(namespace: string, options: Options): Promise<void> {
  const body = { ...by(options), kind: options.kind, graceSeconds: Number(options.grace) }
  const path = `${pathOf(namespace)}/rotate`
  const issued = await call<IssuedSecret>(urlOf('dispatcher', options), path, { method: 'POST', body })
  // What the service needs stands alone on its line, so that it can be copied or cut out by a script.
  const { secret, publicKey = '', id } = issued
  const keep = secret
    ? 'Keep it now, it is not shown again.'
    : 'It is no secret; `millrace secrets list` shows it again.'
  print(issued, { json: options.json ?? false, text: `${secret ?? publicKey}\n\n${id} of ${namespace}. ${keep}` })
}

async function list(namespace: string, options: Options): Promise<void> {
  const { secrets } = await call<{ secrets: SigningSecret[] }>(urlOf('dispatcher', options), pathOf(namespace))
  const rows = secrets.map((secret) => [
    ...[secret.id, secret.kind, secret.createdAt, secret.createdBy],
    ...[secret.until ? `until ${secret.until}` : 'signs', secret.publicKey ?? ''],
  ])
  const header = ['id', 'kind', 'created', 'by', 'state', 'public key']
  const none = `None that the service could know: millrace secrets rotate ${namespace}`
  print({ secrets }, { json: options.json ?? false, text: secrets.length === 0 ? none : table(header, rows) })
}

async function revoke(namespace: string, id: string, options: Options): Promise<void> {
  const body = { who: currentUser(), why: reasonOf(options) }
  const path = `${pathOf(namespace)}/${encodeURIComponent(id)}/revoke`
  const revoked = await call<SigningSecret>(urlOf('dispatcher', options), path, { method: 'POST', body })
  print(revoked, { json: options.json ?? false, text: `${id} of ${namespace} signs nothing from now on` })
}

async function reseal(options: Options): Promise<void> {
  const url = urlOf('dispatcher', options)
  const done = await call<{ resealed: number }>(url, '/secrets/reseal', { method: 'POST', body: by(options) })
  print(done, { json: options.json ?? false, text: `${done.resealed} sealed with the first master key` })
}

function by({ why }: Options): { who: string; why?: string } {
  return { who: currentUser(), ...(why !== undefined && { why }) }
}

function pathOf(namespace: string): string {
  return `/services/${encodeURIComponent(namespace)}/secrets`
}
