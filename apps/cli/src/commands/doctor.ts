import type { Command } from 'commander'
import { readConfig } from '../config.ts'
import type { Finding } from '../doctor/finding.ts'
import { print } from '../output.ts'

interface DoctorOptions {
  readonly dispatcher?: string
  readonly scheduler?: string
  readonly audit?: string
  readonly prometheus?: string
  readonly json?: boolean
}

/** `millrace doctor`. */
export function addDoctor(program: Command): void {
  program
    .command('doctor')
    .description('check a deployment and say what to change; nothing is changed')
    .option('--dispatcher <url>', 'address of the dispatcher')
    .option('--scheduler <url>', 'address of the scheduler')
    .option('--audit <url>', 'address of the audit app')
    .option('--prometheus <url>', 'look whether this Prometheus sees the apps and has the alerts')
    .option('--json', 'print what was found as JSON')
    .addHelpText(
      'after',
      `
Run it where the dispatcher runs, with its environment (REDIS_URL, MILLRACE_API_KEY): endpoints are looked for from here.
Exit codes: 0 nothing failed (there may be warnings), 1 something failed.

Examples:
  $ millrace doctor
  $ REDIS_URL=redis://cache:6379 millrace doctor --dispatcher http://dispatcher:7401 --prometheus http://prometheus:9090`,
    )
    .action(async ({ json = false, prometheus, ...named }: DoctorOptions) => {
      const { examine } = await import('../doctor/examine.ts')
      const config = readConfig()
      const findings = await examine({ config, urls: { ...config.urls, ...named }, prometheus })
      const failed = findings.filter(({ state }) => state === 'fail').length
      print({ ok: failed === 0, findings }, { json, text: describe(findings) })
      process.exitCode = failed === 0 ? 0 : 1
    })
}

function describe(findings: readonly Finding[]): string {
  const width = Math.max(...findings.map(({ check }) => check.length))
  const lines = findings.flatMap(({ check, state, says, fix }) => [
    `${state.padEnd(7)}  ${check.padEnd(width)}  ${says}`,
    ...(fix === undefined ? [] : [`${' '.repeat(width + 11)}→ ${fix}`]),
  ])
  const count = (state: Finding['state']) => findings.filter((finding) => finding.state === state).length
  return [...lines, '', `${count('fail')} failed, ${count('warn')} warnings, ${count('ok')} ok`].join('\n')
}
