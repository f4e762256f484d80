import { readFileSync } from 'node:fs'
import type { ApplyResponse } from '@millrace/contracts'
import type { Command } from 'commander'
import { CommandError, call } from '../http.ts'
import { print } from '../output.ts'
import { type CommonOptions, currentUser, urlOf, withCommonOptions } from './options.ts'

interface Options extends CommonOptions {
  readonly serviceUrl?: string
  readonly why?: string
}

export function addApply(program: Command): void {
  withCommonOptions(program.command('apply <file>'), 'dispatcher')
    .description("apply a service's catalog-info.yaml; applying the same again changes nothing")
    .option(
      '--service-url <url>',
      'where the service listens (needed the first time, unless the platform has a template)',
    )
    .option('--why <reason>', 'reason, for the audit trail; must be given to take out a subscription or a schedule')
    .addHelpText('after', '\nExample:\n  $ millrace apply catalog-info.yaml --service-url http://127.0.0.1:3000')
    .action(async (file: string, options: Options) => {
      const manifest = readManifest(file)
      const namespace = nameIn(manifest) ?? 'unnamed'
      const body = { manifest, who: currentUser(), url: options.serviceUrl, why: options.why }
      const applied = await call<ApplyResponse>(urlOf('dispatcher', options), `/services/${namespace}`, {
        method: 'PUT',
        body,
      })
      print(applied, { json: options.json ?? false, text: describe(applied) })
    })
}

function readManifest(file: string): string {
  try {
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw new CommandError(
      `Cannot read ${file}: ${(error as NodeJS.ErrnoException).code}. Name the path of a catalog-info.yaml.`,
    )
  }
}

/** The name under metadata, to address the request with; the server parses the manifest for real. */
function nameIn(manifest: string): string | undefined {
  return /^metadata:[^\n]*(?:\n[ \t]+[^\n]*)*?[\s{,]name:\s*["']?([a-z0-9-]+)/m.exec(manifest)?.[1]
}

function describe({ namespace, url, version, result, queues, schedules, closing, warnings }: ApplyResponse): string {
  return [
    `${namespace} ${result} (version ${version}), delivered to ${url}`,
    `  queues     ${queues.join(', ') || 'none'}`,
    `  schedules  ${schedules.join(', ') || 'none'}`,
    ...(closing.length > 0 ? [`  closing    ${closing.join(', ')} (no longer declared, draining)`] : []),
    ...warnings.map(({ line, detail }) => `  warning    ${line === undefined ? '' : `line ${line}: `}${detail}`),
  ].join('\n')
}
