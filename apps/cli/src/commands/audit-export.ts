import { createReadStream, createWriteStream } from 'node:fs'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Command } from 'commander'
import { CommandError, open } from '../http.ts'
import { VERDICTS, type Verified } from './audit-verdict.ts'
import { type CommonOptions, urlOf, withCommonOptions } from './options.ts'

interface ExportOptions extends CommonOptions {
  readonly format: string
  readonly namespace?: string
  readonly entity?: string
  readonly out?: string
}

export function addExport(audit: Command): void {
  withCommonOptions(audit.command('export'), 'audit')
    .description('write the trail as NDJSON, which verifies by itself, or as CSV')
    .option('--format <format>', 'ndjson or csv', 'ndjson')
    .option('--namespace <namespace>', 'only of this namespace')
    .option('--entity <entity>', 'only of this entity')
    .option('--out <file>', 'where to; without it to standard output')
    .addHelpText(
      'after',
      '\nExamples:\n  $ millrace audit export --out trail.ndjson\n  $ millrace audit verify --export trail.ndjson\n  $ millrace audit export --format csv --namespace my-service --out trail.csv',
    )
    .action(async ({ format, namespace, entity, out, ...options }: ExportOptions) => {
      const query = new URLSearchParams({
        format,
        ...(namespace !== undefined && { namespace }),
        ...(entity !== undefined && { entityId: entity }),
      })
      const body = await open(urlOf('audit', options), `/v1/export?${query}`)
      const target = out === undefined ? process.stdout : createWriteStream(out)
      // Standard output must not be closed: something else may still be printed.
      await pipeline(Readable.fromWeb(body), target, { end: out !== undefined })
      if (out !== undefined) process.stderr.write(`wrote ${out}\n`)
    })
}

/** Verify an export with nothing but the file: no server, no store, no network. */
export async function verifyExport(file: string): Promise<Verified> {
  const { createExportVerifier } = await import('@millrace/engine')
  const verifier = createExportVerifier()
  try {
    for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY }))
      verifier.add(line)
  } catch (error) {
    throw new CommandError(
      `Cannot read ${file}: ${(error as NodeJS.ErrnoException).code}. Name the path of an NDJSON export.`,
    )
  }
  const answer = verifier.finish()
  const { verdict, records, chains, erased, faults } = answer
  const lines = [
    `${VERDICTS[verdict].says}: ${records} records in ${chains} chains${erased > 0 ? `, ${erased} without payload` : ''}`,
    ...faults.map(
      ({ namespace = '', entityId = '', level, at = '', eventId = '', reason }) =>
        `  ${[namespace, entityId].filter(Boolean).join(' ') || 'export'}: ${level} ${at} ${eventId} (${reason})`,
    ),
  ]
  return { verdict, answer, lines }
}
